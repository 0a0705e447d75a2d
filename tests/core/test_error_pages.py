"""What a person reads when something went wrong: help, and nothing of the inside."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client, override_settings

from apps.accounts.models import User
from tests.conftest import ClientFor
from tests.core.urls import SECRET

pytestmark = [pytest.mark.once, pytest.mark.urls("tests.core.urls"), pytest.mark.django_db]


@pytest.fixture
def browser() -> Client:
    return Client(raise_request_exception=False)


def told(answer: Any, status: int, *sentences: str) -> str:
    """The page of an error: one heading, `sentences`, the request's id, a way out."""
    page: str = answer.content.decode()
    assert answer.status_code == status, page
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert answer["Cache-Control"] == "private, no-store"
    assert page.count("<h1>") == 1
    assert f"Error {status}" in page
    for sentence in sentences:
        assert sentence in page, page
    assert f"<code>{answer['X-Request-ID']}</code>" in page
    assert '<a class="button primary" href="/">' in page
    inside = (SECRET, "Traceback", "Exception", "django", "Django", "/work", "urlpatterns")
    assert not [word for word in inside if word in page]
    assert not re.search(r"<script|style=| on\w+=", page)
    return page


@pytest.mark.parametrize(
    ("kind", "status", "sentence"),
    [
        ("suspicious", 400, "The request is not valid"),
        ("ours", 400, "<strong>a.b</strong>: Half:"),
        ("denied", 403, "You may not do this"),
        ("role", 403, "Your role here, reader, does not allow it"),
        ("gone", 404, "There is nothing at this address."),
        ("missing", 404, "belongs to another organization"),
        ("conflict", 409, "The job is not finished"),
        ("large", 413, "The batch is too large"),
        ("often", 429, "Try again in 2 min 5 s."),
        ("bug", 500, "It is written in the server&#x27;s log."),
        ("later", 500, "Something went wrong on our side"),
        ("database", 503, "Try again in 5 s."),
        ("busy", 503, "Wait a moment, then try again."),
    ],
)
def test_every_error_has_its_page(browser: Client, kind: str, status: int, sentence: str) -> None:
    sentence = sentence.replace("&#x27;", "'")
    told(browser.get(f"/plain/{kind}"), status, sentence)


def test_when_to_come_back_is_in_the_header_too(browser: Client) -> None:
    assert browser.get("/plain/often")["Retry-After"] == "125"
    assert browser.get("/plain/database")["Retry-After"] == "5"
    assert "Retry-After" not in browser.get("/plain/bug")


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/static/nothing.css",
        "/jobs/",
        "/jobs/not-a-uuid",
        "/%ff",
        "/%00",
        "/<script>alert(1)</script>",
        "/" + "a" * 20_000,
        "/../etc/passwd",
        "/\u00e9",
    ],
)
def test_whatever_the_address(browser: Client, path: str) -> None:
    page = told(browser.get(path), 404, "There is nothing at this address.")
    assert "alert" not in page


def test_a_page_that_only_a_form_sends_to(browser: Client) -> None:
    answer = browser.get("/sign-out")
    told(answer, 405, "It takes what a button or a form of a page sends.")
    assert answer["Allow"] == "POST"
    for verb in ("TRACE", "DELETE"):
        answer = browser.generic(verb, "/sign-in")
        told(answer, 405)
        assert "POST" in answer["Allow"]
    assert browser.options("/sign-in").status_code == 200


def test_a_form_without_its_token(alice: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    answer = strict.post("/sign-out")
    page = told(answer, 403, "The form was not accepted", "Go back, reload it and send it again")
    assert "CSRF" not in page
    assert strict.get("/").status_code == 200


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=100)
def test_a_form_that_is_far_too_long(browser: Client) -> None:
    told(browser.post("/preferences", {"theme": "x" * 1000}), 413, "The request is too large")


@override_settings(DATA_UPLOAD_MAX_NUMBER_FIELDS=2)
def test_a_form_of_far_too_many_fields(browser: Client) -> None:
    answer = browser.post("/preferences", dict.fromkeys("abc", "x"))
    told(answer, 413, "more fields than are read of one")


def test_a_host_that_is_not_ours(browser: Client) -> None:
    page = told(browser.get("/", headers={"Host": "evil.example"}), 400, "ALLOWED_HOSTS")
    assert "evil" not in page


def test_an_error_needs_no_query(
    alice: User, client_for: ClientFor, django_assert_num_queries: Any
) -> None:
    browser = client_for(alice)
    with django_assert_num_queries(0):
        told(browser.get("/nowhere"), 404)
        told(browser.get("/plain/missing"), 404)
        told(browser.get("/plain/database"), 503)


def test_the_colours_are_those_that_were_chosen(browser: Client) -> None:
    browser.cookies["theme"] = "dark"
    assert 'data-theme="dark"' in browser.get("/nowhere").content.decode()
    assert 'data-theme="dark"' in browser.get("/plain/database").content.decode()
    # Of a request that something broke on, nothing is looked at again.
    assert 'data-theme="system"' in browser.get("/plain/bug").content.decode()


@pytest.mark.once
def test_pages_are_drawn_before_their_files_were_collected(browser: Client, tmp_path: Path) -> None:
    real = {"BACKEND": "apps.core.statics.StaticFiles"}
    with override_settings(
        STATIC_ROOT=tmp_path, STORAGES=settings.STORAGES | {"staticfiles": real}
    ):
        page = told(browser.get("/nowhere"), 404)
    assert 'href="/static/web/app.css"' in page


def test_a_database_that_goes_away_outside_a_view(browser: Client) -> None:
    with override_settings(SESSION_ENGINE="tests.core.away"):
        browser.cookies["sessionid"] = "x" * 32
        told(browser.get("/plain/session"), 503, "Try again in 5 s.")
        answer = browser.get("/api/plain/session")
    assert (answer.status_code, answer.json()["code"]) == (503, "server.unavailable")
    assert answer["Retry-After"] == "5"


A_BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("accept", ["text/html", A_BROWSER])
@pytest.mark.parametrize(
    ("path", "status"), [("nonsense", 404), ("plain/bug", 500), ("plain/database", 503)]
)
def test_a_browser_below_api_is_told_on_a_page(
    browser: Client, accept: str, path: str, status: int
) -> None:
    told(browser.get(f"/api/{path}", headers={"Accept": accept}), status)


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "application/json", "application/problem+json", "application/json,text/html", ";"],
)
def test_programs_below_api_are_told_in_json(browser: Client, accept: str) -> None:
    answer = browser.get("/api/nonsense", headers={"Accept": accept})
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
