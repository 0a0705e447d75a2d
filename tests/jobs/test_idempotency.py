"""Idempotency-Key: one job for one key, however often and at whatever moment it is sent."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_api_key, create_user
from apps.jobs import inflight
from apps.jobs.models import BatchFile, BatchJob, IdempotencyKey
from tests.batches import owner_of, together
from tests.conftest import ApiFor
from tests.jobs.forms import accepted, body, field, files_of, part, post, stored
from tests.jobs.runs import read_next

KEY = {"Idempotency-Key": "4b5c0f4e"}
TEXT = b"the same in each request\n"


def test_the_same_request_gets_the_same_answer(alice_api: APIClient) -> None:
    form = (part(TEXT), part(b"", "bad.txt"), field("priority", "high"), field("name", "x"))
    first = post(alice_api, *form, **KEY)
    assert (first.status_code, "Idempotency-Replayed" in first) == (202, False)
    read_next()
    again = post(alice_api, *form, **KEY)
    assert (again.status_code, again["Idempotency-Replayed"]) == (202, "true")
    assert again.json() == first.json()
    assert again["Location"] == first["Location"]
    assert BatchJob.objects.count() == 1


@pytest.mark.parametrize(
    "other",
    [
        (part(b"other bytes"),),
        (part(TEXT, "other.txt"),),
        (part(TEXT), part(TEXT)),
        (part(TEXT), field("priority", "low")),
        (part(TEXT), field("name", "x")),
        (part(TEXT), field("options", '{"pages": "1"}')),
    ],
)
def test_another_request_with_the_key_is_refused(alice_api: APIClient, other: Any) -> None:
    accepted(alice_api, part(TEXT), **KEY)
    answer = post(alice_api, *other, **KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency.mismatch")
    assert BatchJob.objects.count() == 1


def test_what_is_only_written_differently_is_the_same_request(alice_api: APIClient) -> None:
    first = accepted(alice_api, part(TEXT), field("options", '{"ocr": "auto"}'), **KEY)
    second = accepted(alice_api, field("operation", "extract"), part(TEXT), **KEY)
    assert first == second


def test_without_a_key_every_request_is_a_job(alice_api: APIClient) -> None:
    assert accepted(alice_api)["id"] != accepted(alice_api)["id"]


def test_a_key_belongs_to_a_person_in_an_organization(
    alice_api: APIClient,
    charlie_api: APIClient,
    acme: Organization,
    other: Organization,
    alice: User,
    api_for: ApiFor,
) -> None:
    carol = create_user(email="carol@example.com", password=None, name="Carol")
    add_member(organization=acme, user=carol, role=Role.CONTRIBUTOR)
    add_member(organization=other, user=alice, role=Role.CONTRIBUTOR)
    _, elsewhere = create_api_key(organization=other, user=alice, name="elsewhere")
    people = [alice_api, charlie_api, api_for(carol), api_for(elsewhere)]
    assert len({accepted(api, part(TEXT), **KEY)["id"] for api in people}) == 4
    _, second_key = create_api_key(organization=acme, user=alice, name="second")
    assert post(api_for(second_key), part(TEXT), **KEY)["Idempotency-Replayed"] == "true"


def test_refused_submissions_do_not_use_up_the_key(
    alice_api: APIClient, settings: Settings
) -> None:
    refused = [
        post(alice_api, part(b""), **KEY),
        post(alice_api, part(TEXT), field("priority", "urgent"), **KEY),
        post(alice_api, **KEY),
        post(alice_api, *(part() for _ in range(51)), **KEY),
    ]
    assert [answer.status_code for answer in refused] == [422, 400, 400, 413]
    assert not IdempotencyKey.objects.exists()
    answer = post(alice_api, part(TEXT), **KEY)
    assert (answer.status_code, "Idempotency-Replayed" in answer) == (202, False)


@pytest.mark.parametrize("key", ["", "k" * 256, "a\x7fb", "a\tb"])
def test_a_key_has_1_to_255_printable_characters(alice_api: APIClient, key: str) -> None:
    answer = post(alice_api, part(TEXT), **{"Idempotency-Key": key})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]
    assert not BatchJob.objects.exists()


def test_255_characters_are_a_key(alice_api: APIClient) -> None:
    accepted(alice_api, part(TEXT), **{"Idempotency-Key": "k" * 255})


@pytest.mark.django_db(transaction=True)
def test_ten_at_once_make_one_job_and_all_get_its_answer(
    alice: User, api_for: ApiFor, data_dir: Path
) -> None:
    apis = [api_for(alice) for _ in range(10)]

    def send(api: APIClient) -> Any:
        return post(api, part(b"the bytes"), part(b"more", "b.txt"), **KEY)

    answers = together([lambda api=api: send(api) for api in apis])
    assert [answer.status_code for answer in answers] == [202] * 10
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert ["Idempotency-Replayed" in answer for answer in answers].count(False) == 1
    assert (BatchJob.objects.count(), BatchFile.objects.count()) == (1, 2)
    first, _ = files_of(apis[0], answers[0].json())
    assert body(apis[0].get(first["content_url"])) == b"the bytes"
    assert len(stored(data_dir)) == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_requests_with_one_key_at_once_one_is_refused(
    alice: User, api_for: ApiFor, data_dir: Path
) -> None:
    apis = [api_for(alice) for _ in range(6)]
    forms = [part(b"one"), part(b"two")] * 3
    answers = together(
        [
            lambda api=api, form=form: post(api, form, **KEY)
            for api, form in zip(apis, forms, strict=True)
        ]
    )
    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [422] * 3
    assert BatchJob.objects.count() == 1
    assert len(stored(data_dir)) == 1  # nothing of the refused stays


def test_a_key_outlives_its_job(alice_api: APIClient) -> None:
    first = accepted(alice_api, part(TEXT), **KEY)
    read_next()
    assert alice_api.delete(first["url"]).status_code == 204
    assert accepted(alice_api, part(TEXT), **KEY) == first
    assert not BatchJob.objects.exists()


def test_while_the_first_is_under_way_the_second_is_told_before_its_body_is_read(
    alice_api: APIClient,
    charlie_api: APIClient,
    acme: Organization,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inflight, "WAIT_SECONDS", 0.1)
    with inflight.alone_with(KEY["Idempotency-Key"], actor=owner_of(acme), route="batch.upload"):
        answer = post(alice_api, part(TEXT), **KEY)
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency.in_progress")
        assert answer["Retry-After"] == "1"
        accepted(alice_api, part(TEXT), **{"Idempotency-Key": "another"})
        accepted(charlie_api, part(TEXT), **KEY)  # what others call their requests is their own
    accepted(alice_api, part(b"later"), **KEY)


def test_after_a_day_a_key_is_new(alice_api: APIClient) -> None:
    first = accepted(alice_api, part(TEXT), **KEY)
    IdempotencyKey.objects.update(created_at=Now() - timedelta(hours=23, minutes=59))
    assert accepted(alice_api, part(TEXT), **KEY) == first
    IdempotencyKey.objects.update(created_at=Now() - timedelta(hours=24, seconds=1))
    assert accepted(alice_api, part(b"other"), **KEY) != first
    assert IdempotencyKey.objects.count() == 1
