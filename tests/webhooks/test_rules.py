"""The rules of sending, as tables."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.checks import Error
from pytest_django import Settings
from standardwebhooks import Webhook

from apps.webhooks import checks
from apps.webhooks.events import MAX_BYTES, message
from apps.webhooks.patience import (
    MAX_GIVEN_UP,
    MAX_REST_SECONDS,
    MAX_WAIT_SECONDS,
    asked_wait,
    is_lost,
    rest_seconds,
)
from apps.webhooks.signing import new_secret, signed_headers

pytestmark = pytest.mark.once

NOW = datetime(2026, 1, 31, 9, tzinfo=UTC)
WAITS = (5, 30, 120, 600)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        ("9" * 30, MAX_WAIT_SECONDS),
        ("Sat, 31 Jan 2026 09:02:00 GMT", 120),
        ("Sat, 31 Jan 2026 08:00:00 GMT", 0),
        ("Sun, 31 Jan 2027 08:00:00 GMT", MAX_WAIT_SECONDS),
        ("Sat, 31 Jan 2026 09:02:00 -0000", 0),  # it says no zone
        ("", 0),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("٣", 0),
    ],
)
def test_what_a_receiver_asks_for(header: str, seconds: float) -> None:
    assert asked_wait(header, NOW) == seconds


@pytest.mark.parametrize(
    ("failed", "seconds"), [(0, 0), (1, 5), (2, 30), (3, 120), (4, MAX_REST_SECONDS), (99, 300)]
)
def test_how_long_an_endpoint_rests(failed: int, seconds: float) -> None:
    assert rest_seconds(failed, WAITS) == seconds


@pytest.mark.parametrize(
    ("days", "given_up", "expected"),
    [
        (None, 1, False),
        (4.99, 1, False),
        (5, 1, True),
        (0, MAX_GIVEN_UP - 1, False),
        (0, MAX_GIVEN_UP, True),
    ],
)
def test_when_an_endpoint_is_given_up(days: float | None, given_up: int, expected: bool) -> None:
    since = None if days is None else NOW - timedelta(days=days)
    assert is_lost(failing_since=since, given_up_in_row=given_up, now=NOW) is expected


def test_a_signature_is_what_the_public_library_makes() -> None:
    secrets = [new_secret(), new_secret()]
    body = '{"name":"Größe"}'.encode()
    at = datetime.now(UTC)
    headers = signed_headers(secrets, message_id="one", at=at, body=body)
    expected = [Webhook(secret).sign("one", at, body.decode()) for secret in secrets]
    assert headers == {
        "webhook-id": "one",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(expected),
    }
    assert len(set(secrets)) == 2


def test_a_message_is_json_that_stays_the_same() -> None:
    text = message("batch_job.failed", NOW, {"id": "1", "name": "Größe"})
    assert text == (
        '{"type":"batch_job.failed","timestamp":"2026-01-31T09:00:00+00:00",'
        '"data":{"id":"1","name":"Größe"}}'
    )


def test_what_would_be_too_long_tells_where_it_is() -> None:
    text = message("batch_job.failed", NOW, {"id": "1", "url": "/x", "name": "ö" * MAX_BYTES})
    assert json.loads(text)["data"] == {"id": "1", "url": "/x", "truncated": True}


@pytest.mark.parametrize(
    ("waits", "is_fine"),
    [([1.0], True), ([5.0] * 20, True), ([], False), ([5.0] * 21, False), ([0.0], False)],
)
def test_waits_that_are_set_are_checked(settings: Settings, waits: Any, is_fine: bool) -> None:
    settings.WEBHOOK_RETRY_SECONDS = waits
    found = checks.waits_can_be_waited()
    assert [isinstance(each, Error) for each in found] == ([] if is_fine else [True])
