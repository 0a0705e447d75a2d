"""The API in a signed-in browser: every change needs the CSRF token."""

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.accounts.actor import SESSION_KEY
from apps.accounts.models import Organization, User
from apps.jobs.models import BatchJob
from tests.jobs.forms import FORM_TYPE, UPLOAD, accepted, body_of, field, part

TOKEN = "t" * 32


@pytest.fixture
def browser(alice: User, acme: Organization) -> Client:
    """Alice's, signed in and in Acme, checked for CSRF as the real one is."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    session = client.session
    session[SESSION_KEY] = str(acme.pk)
    session.save()
    client.cookies["csrftoken"] = TOKEN
    return client


def send(browser: Client, path: str = UPLOAD, *parts: bytes, **headers: str) -> Any:
    return browser.generic("POST", path, body_of(parts or [part()]), FORM_TYPE, headers=headers)


def test_without_the_token_nothing_is_submitted(browser: Client) -> None:
    for headers in ({}, {"X-CSRFToken": "x" * 32}):
        answer = send(browser, **headers)
        assert answer.status_code == 403
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "auth.forbidden"
    assert not BatchJob.objects.exists()


def test_the_token_in_the_form_does_not_count_for_the_body_is_not_read_first(
    browser: Client,
) -> None:
    answer = send(browser, UPLOAD, part(), field("csrfmiddlewaretoken", TOKEN))
    assert answer.status_code == 403


def test_with_the_token_the_batch_is_taken(browser: Client, acme: Organization) -> None:
    answer = send(browser, **{"X-CSRFToken": TOKEN})
    assert answer.status_code == 202, answer.content
    assert BatchJob.objects.get().organization == acme


def test_every_other_change_needs_it_too(browser: Client, alice_api: APIClient) -> None:
    job = accepted(alice_api)
    changes = [("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")]
    for verb, path in changes:
        answer = browser.generic(verb, f"{job['url']}{path}")
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.forbidden"), path
    assert BatchJob.objects.get().state == "queued"
    answer = browser.post(f"{job['url']}/cancel", headers={"X-CSRFToken": TOKEN})
    assert answer.status_code == 200


def test_reading_needs_none(browser: Client, alice_api: APIClient) -> None:
    job = accepted(alice_api)
    assert browser.get(job["url"]).json()["id"] == job["id"]


def test_signed_out_is_unauthorized(db: None) -> None:
    answer = Client().get("/api/batch/jobs")
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.required")
    assert answer["WWW-Authenticate"].startswith("Bearer")
