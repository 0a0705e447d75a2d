"""Rows of the API are what REST framework makes of them, and moments what psycopg reads."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DataError, connection
from django.test import RequestFactory
from django.urls import reverse
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer

from apps.accounts.models import Organization, User
from apps.core.ids import uuid7
from apps.core.rows import Links, Rows
from apps.jobs.api.serializers import FileDetailSerializer, JobSerializer, ResultSummarySerializer
from apps.jobs.models import BatchFile, BatchJob
from apps.notifications.models import Notification
from apps.notifications.serializers import NotificationSerializer
from tests.batches import submit
from tests.jobs.runs import fail_next, read_next
from tests.notifications.telling import tell

pytestmark = pytest.mark.django_db


def told(serializer: Any, row: Any) -> tuple[bytes, bytes]:
    """The row as it is told, and as REST framework would tell it."""
    plain = serializers.Serializer.to_representation(serializer, row)
    return JSONRenderer().render(serializer.to_representation(row)), JSONRenderer().render(plain)


def test_a_row_is_what_rest_framework_makes_of_it(acme: Organization, alice: User) -> None:
    submit(acme, "one", "two", "three")
    read = read_next()
    fail_next()
    tell(alice, acme, 1)
    context = {"request": RequestFactory().get("/")}
    shown = [
        *((JobSerializer, each) for each in BatchJob.objects.all()),
        *((FileDetailSerializer, each) for each in BatchFile.objects.all()),
        *((NotificationSerializer, each) for each in Notification.objects.all()),
        (ResultSummarySerializer, read.result),
    ]
    assert len(shown) >= 6
    for kind, row in shown:
        ours, plain = told(kind(row, context=context), row)
        assert ours == plain


@pytest.mark.once
def test_a_field_that_looks_at_its_context_is_refused() -> None:
    class Inner(serializers.Serializer[Any]):
        name = serializers.CharField()

    class Outer(Rows):
        inner = Inner()

    with pytest.raises(TypeError, match="inner needs its context"):
        Outer().to_representation({})


@pytest.mark.once
def test_an_address_is_the_one_of_its_row() -> None:
    links, request = Links(), RequestFactory().get("/")
    for pk in (uuid7(), uuid7()):
        assert links("job", pk) == reverse("job", args=[pk])
        assert Links(request)("job", pk) == f"http://testserver{reverse('job', args=[pk])}"
    assert links("batch-pause") == reverse("batch-pause")


@pytest.mark.postgres
def test_moments_are_read_in_utc_and_what_is_none_is_an_error() -> None:
    def read(text: str) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s::timestamptz", [text])
            return cursor.fetchone()[0]

    assert read("2026-03-01 14:05:09.5+02") == datetime(2026, 3, 1, 12, 5, 9, 500_000, UTC)
    found = read("2026-03-01 14:05:09.000001+00")
    assert (found, found.tzinfo) == (datetime(2026, 3, 1, 14, 5, 9, 1, UTC), UTC)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'Asia/Kolkata'")
    found = read("2026-03-01 14:05:09+00")
    assert (found.isoformat(), found.tzinfo) == ("2026-03-01T14:05:09+00:00", UTC)
    with pytest.raises(DataError, match="infinity"):
        read("infinity")
