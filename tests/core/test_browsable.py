"""Pages of the browsable API: what they draw, what they link, and how they tell problems."""

import json
import re
from typing import Any

import pytest
from django.test import Client, override_settings
from rest_framework.settings import api_settings

from apps.accounts.models import User
from apps.core import browsable
from apps.web.words import duration
from tests.conftest import ClientFor
from tests.core.urls import SECRET

pytestmark = [
    pytest.mark.once,
    pytest.mark.urls("tests.core.urls"),
    pytest.mark.django_db,
    pytest.mark.once,
]

HTML = {"Accept": "text/html"}
HERE = "https://mill.example"


def page(client: Client, path: str, **more: Any) -> tuple[Any, str]:
    answer = client.get(path, headers=HTML, **more)
    assert answer["Content-Type"] == "text/html; charset=utf-8", answer.content
    return answer, answer.content.decode()


def test_pages_are_drawn_by_the_renderer_that_knows_no_rows() -> None:
    assert browsable.BrowsablePages in api_settings.DEFAULT_RENDERER_CLASSES
    assert api_settings.DEFAULT_METADATA_CLASS is browsable.Metadata


def test_a_description_is_paragraphs_and_code() -> None:
    told = list(browsable.blocks("One\nsentence.\n\n    curl a\n      -b\n\nAnother."))
    assert [(block.text, block.is_code) for block in told] == [
        ("One sentence.", False),
        ("curl a\n  -b", True),
        ("Another.", False),
    ]


def test_names_are_set_off_and_only_our_addresses_are_links() -> None:
    shown = {
        "url": f"{HERE}/api/batch/jobs?limit=1&state=failed",
        "name": 'http://evil.example/"><script>alert(1)</script>',
        "near": f"{HERE}.evil.example/x",
        "odd": f'{HERE}/\\"x',
        "<b>": None,
    }
    drawn = browsable.drawn(json.dumps(shown), HERE)
    link = f"{HERE}/api/batch/jobs?limit=1&amp;state=failed"
    assert f'<a href="{link}">{link}</a>' in drawn
    assert drawn.count("<a ") == 1
    assert "<script" not in drawn
    assert "<b>&quot;&lt;b&gt;&quot;</b>: null" in drawn


OPEN = {"rate_limits", "docs", "schema", "health"}
"""Entries of the root that answer whoever asks; the others want to know who it is."""


def test_the_root_lists_what_there_is_for_everybody(client: Client) -> None:
    entries = client.get("/api").json()
    assert list(entries)[:2] == ["upload", "jobs"]
    assert set(entries) > OPEN
    assert client.get("/api/").json() == entries
    _, html = page(client, "/api")
    for url in entries.values():
        assert f'href="{url}"' in html
        assert f'href="{url.removeprefix("http://testserver")}"' in html
    assert "curl http://testserver/api" in html
    assert "Sign in" in html


def test_what_is_behind_the_entries_answers(client: Client) -> None:
    for name, url in client.get("/api").json().items():
        expected = 200 if name in OPEN else 401
        as_browsers_do = {"Accept": "text/html,*/*;q=0.8"}
        assert client.get(url, headers=as_browsers_do).status_code in (expected, 503), name


@pytest.mark.parametrize(
    ("kind", "status"), [("denied", 403), ("gone", 404), ("ours", 400), ("later", 500)]
)
def test_problems_are_told_on_a_page(client: Client, kind: str, status: int) -> None:
    answer, html = page(client, f"/api/failing/{kind}")
    assert answer.status_code == status
    assert html.count("<h1") == html.count("<main") == 1
    assert SECRET not in html
    assert answer["X-Request-ID"] in html
    assert "no-store" in answer["Cache-Control"]


def test_an_error_nobody_foresaw_is_told_without_asking_who_is_there(
    alice: User, client_for: ClientFor
) -> None:
    browser = client_for(alice)
    browser.raise_request_exception = False
    answer, html = page(browser, "/api/failing/bug")
    assert answer.status_code == 500
    assert SECRET not in html
    assert "Acme" not in html
    answer, html = page(browser, "/api/failing/database")
    assert answer.status_code == 503
    assert f"Try again in {duration(int(answer['Retry-After']))}." in html


def test_who_is_not_signed_in_is_led_there_and_back(client: Client) -> None:
    answer, html = page(client, "/api/batch/jobs?state=failed&limit=1")
    assert answer.status_code == 401
    assert "/sign-in?next=%2Fapi%2Fbatch%2Fjobs%3Fstate%3Dfailed%26limit%3D1" in html
    assert "<dt>WWW-Authenticate</dt>" in html
    assert "data-send" not in html.replace('data-send="OPTIONS"', "")


def test_a_wrong_method_or_media_type_is_told_on_a_page(client: Client) -> None:
    for verb, path, content_type, status in (
        ("PUT", "/api/echo", "application/json", 405),
        ("POST", "/api/echo", "application/xml", 415),
    ):
        answer = client.generic(verb, path, b"{}", content_type, headers=HTML)
        assert answer.status_code == status
        assert f"HTTP {status}" in answer.content.decode()


def test_long_answers_are_cut_for_people(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsable, "MAX_SHOWN", 20)
    _, html = page(client, "/api?x=1")
    assert 'class="json"' in html
    assert "left out here" in html
    assert "/api?format=json&amp;x=1" in html


def test_options_tell_what_an_address_takes(client: Client, alice: User) -> None:
    told = client.options("/api").json()
    assert told["methods"] == ["GET", "HEAD", "OPTIONS"]
    assert told["parameters"] == []
    assert told["schema"] == "http://testserver/api/schema"
    client.force_login(alice)
    told = client.options("/api/batch/jobs").json()
    by_name = {each["name"]: each for each in told["parameters"]}
    assert set(by_name["priority"]["choices"]) == {"high", "normal", "low"}
    assert all(each["description"] for each in told["parameters"])
    assert set(told) == {"name", "description", "methods", "parameters", "schema"}


def test_the_documentation_is_allowed_what_it_needs_and_no_more(client: Client) -> None:
    answer, html = page(client, "/api/docs")
    policy = answer["Content-Security-Policy"]
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "img-src 'self' data:" in policy
    assert "script-src 'self'" in policy
    assert "http://" not in html
    assert "https://" not in html
    for script in ("swagger-ui-bundle.js", "swagger.js"):
        assert script in html
    assert 'href="/api/schema?format=json"' in html
    assert 'data-schema="/api/schema"' in html
    assert "'unsafe-inline'" not in client.get("/api", headers=HTML)["Content-Security-Policy"]


def test_the_documentation_only_answers_reading_and_fails_like_any_page(
    alice: User, client_for: ClientFor
) -> None:
    browser = client_for(alice)
    assert "no-store" in browser.get("/api/docs")["Cache-Control"]
    assert (browser.head("/api/docs").status_code, browser.head("/api/docs").content) == (200, b"")
    assert browser.get("/api/docs", headers={"Accept": "application/json"}).status_code == 200
    browser.handler.enforce_csrf_checks = True
    for verb in ("POST", "PUT", "DELETE"):
        refused = browser.generic(verb, "/api/docs")
        assert (refused.status_code, refused.json()["status"]) == (403, 403)
        assert "Error 403" in browser.generic(verb, "/api/docs", headers=HTML).content.decode()
    browser.handler.enforce_csrf_checks = False
    refused = browser.post("/api/docs")
    assert (refused.status_code, refused.json()["code"]) == (405, "request.method_not_allowed")
    assert refused["Allow"] == "GET, HEAD"
    assert "Error 405" in browser.post("/api/docs", headers=HTML).content.decode()


def test_the_documentation_without_a_database_is_an_error_page() -> None:
    browser = Client(raise_request_exception=False)
    browser.cookies["sessionid"] = "x" * 32
    with override_settings(SESSION_ENGINE="tests.core.gone"):
        answer = browser.get("/api/docs", headers=HTML)
        assert "Error 503" in answer.content.decode()
        told = browser.get("/api/docs").json()
    assert (answer.status_code, told["code"]) == (503, "server.unavailable")
    assert SECRET not in answer.content.decode()


def test_the_documentation_sends_the_token_of_the_session(
    alice: User, client_for: ClientFor
) -> None:
    browser = client_for(alice)
    browser.handler.enforce_csrf_checks = True
    _, html = page(browser, "/api/docs")
    token = re.search(r'data-token="(\w{64})"', html)
    assert token
    answer = browser.post("/sign-out", headers={"X-CSRFToken": token[1]})
    assert answer.status_code == 302


def test_errors_of_the_schema_are_problems(client: Client) -> None:
    for verb, path, accept, status in (
        ("POST", "/api/schema", "*/*", 405),
        ("GET", "/api/schema", "application/pdf", 406),
        ("GET", "/api/schema?format=pdf", "*/*", 404),
    ):
        answer = client.generic(verb, path, headers={"Accept": accept})
        assert answer["Content-Type"] == "application/problem+json"
        assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert client.get("/api/schema")["Content-Type"].startswith("application/vnd.oai.openapi")


@pytest.mark.parametrize("path", ["/api", "/api/schema", "/api/batch/jobs"])
def test_a_format_asked_for_by_name_wins(alice: User, client_for: ClientFor, path: str) -> None:
    browser = client_for(alice)
    answer = browser.get(f"{path}?format=json", headers=HTML)
    assert answer.status_code == 200
    assert json.loads(answer.content)
    unknown = browser.get(f"{path}?format=pdf", headers=HTML)
    assert unknown.status_code == 404
    assert "There is no such format here. There are: " in unknown.json()["detail"]
