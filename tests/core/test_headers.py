"""What every kind of answer tells browsers to refuse, and which other sites may ask."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client, override_settings
from rest_framework.test import APIClient

from apps.accounts.models import User
from tests.conftest import ClientFor
from tests.jobs.forms import accepted, body, part

pytestmark = [pytest.mark.once, pytest.mark.django_db]

HTML = {"Accept": "text/html"}
ORIGIN = "https://app.example.com"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Origin": ORIGIN}

RESULTS = [f"/results.{name}" for name in ("ndjson", "csv", "zip", "xlsx", "md")]
DOORS = ("original", *RESULTS, "audit log")
"""Behind which there is what strangers may have written."""

Ask = Callable[[Client, dict[str, Any]], Any]
KINDS: dict[str, Ask] = {
    "page": lambda browser, _: browser.get("/"),
    "page of a job": lambda browser, job: browser.get(f"/jobs/{job['id']}"),
    "redirect": lambda _, __: Client().get("/"),
    "sign-in": lambda _, __: Client().get("/sign-in"),
    "API": lambda browser, _: browser.get("/api/batch/jobs"),
    "API page": lambda browser, _: browser.get("/api/batch/jobs", headers=HTML),
    "API root": lambda browser, _: browser.get("/api", headers=HTML),
    "problem": lambda browser, _: browser.get("/api/nothing"),
    "health": lambda _, __: Client().get("/health"),
    "admin": lambda browser, _: browser.get("/admin/", follow=True),
    "not found": lambda browser, _: browser.get("/nowhere"),
    "no such static file": lambda browser, _: browser.get("/static/nothing.css"),
    "bad request": lambda browser, _: browser.get("/", headers={"Host": "evil.example"}),
    "not allowed": lambda browser, _: browser.get("/sign-out"),
    "icon": lambda browser, _: browser.get("/favicon.ico"),
    "robots": lambda browser, _: browser.get("/robots.txt"),
    "original": lambda browser, job: browser.get(_first_file(browser, job) + "/content"),
    "text": lambda browser, job: browser.get(_first_file(browser, job) + "/text"),
    "live stream": lambda browser, job: browser.get(f"{job['url']}/events"),
    "live fragment": lambda browser, job: browser.get(f"/jobs/{job['id']}/live"),
    "too large": lambda browser, _: browser.post(
        "/api/batch/upload",
        b"x",
        "multipart/form-data; boundary=x",
        headers={"Content-Length": "9" * 15},
    ),
    "wrong type": lambda browser, _: browser.post("/api/batch/upload", b"x", "text/plain"),
    "switched off": lambda browser, _: _switched_off(browser),
    **{name: lambda browser, job, name=name: browser.get(job["url"] + name) for name in RESULTS},
    "audit log": lambda browser, _: browser.get("/api/audit.csv"),
    "account": lambda browser, _: browser.post("/settings/account/export"),
}


def _switched_off(browser: Client) -> Any:
    with override_settings(ENABLE_WEBHOOKS=False):
        return browser.get("/settings/webhooks")


def _first_file(browser: Client, job: dict[str, Any]) -> str:
    [file] = browser.get(f"{job['url']}/files").json()["results"]
    return f"/api/batch/files/{file['id']}"


@pytest.fixture
def job(alice_api: APIClient) -> dict[str, Any]:
    return accepted(alice_api, part(b"some text\n"))


def directives(answer: Any) -> dict[str, set[str]]:
    parts = (part.split() for part in answer["Content-Security-Policy"].split(";"))
    return {name: set(sources) for name, *sources in parts}


def check_guarded(answer: Any) -> None:
    """The headers that no answer lacks."""
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert "microphone=()" in answer["Permissions-Policy"]
    assert answer["X-Request-ID"]
    policy = directives(answer)
    assert policy["default-src"] == {"'none'"}
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert "*" not in answer["Content-Security-Policy"]
    assert "Server" not in answer


@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_is_guarded(
    alice: User, client_for: ClientFor, job: dict[str, Any], kind: str
) -> None:
    answer = KINDS[kind](client_for(alice), job)
    if answer.status_code != 302:
        assert body(answer)
    check_guarded(answer)
    if kind != "health":  # answered before; nobody's browser shows it
        assert answer["Referrer-Policy"] == "same-origin"
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    if kind in ("icon", "robots"):
        assert answer["Cache-Control"] == "public, max-age=86400"
    else:
        assert "no-store" in answer["Cache-Control"]


def test_a_static_file_is_guarded_and_may_be_kept(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("p {}")
    with override_settings(STATIC_ROOT=tmp_path):
        answer = Client().get("/static/a.css")
    assert answer.status_code == 200
    assert b"".join(answer.streaming_content)
    check_guarded(answer)
    assert cors(answer) == {}
    assert answer["Content-Type"] == 'text/css; charset="utf-8"'
    assert "no-store" not in answer["Cache-Control"]


def test_pages_run_only_what_comes_from_here(alice: User, client_for: ClientFor) -> None:
    policy = directives(client_for(alice).get("/"))
    assert policy["frame-ancestors"] == policy["base-uri"] == {"'none'"}
    for name in ("style-src", "img-src", "font-src", "connect-src", "form-action"):
        assert policy[name] == {"'self'"}, name
    assert policy["script-src"] == {"'self'"}


def test_no_script_reads_a_cookie() -> None:
    cookie = Client().get("/sign-in").cookies["csrftoken"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


@pytest.mark.parametrize("door", DOORS)
def test_what_strangers_wrote_is_saved_and_never_opened(
    alice: User, client_for: ClientFor, job: dict[str, Any], door: str
) -> None:
    answer = KINDS[door](client_for(alice), job)
    assert answer.status_code == 200
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["Content-Disposition"].startswith("attachment")
    assert body(answer)


def test_every_file_that_views_send_goes_through_a_door_that_was_tried() -> None:
    """Whoever adds a view that sends stored bytes or a stream adds it to DOORS."""
    root = Path(settings.BASE_DIR)
    senders = {"FileResponse(", "StreamingHttpResponse(", "serve("}
    paths = [p for p in (root / "apps").rglob("*.py") if "/apps/core/" not in str(p)]
    found = {
        str(path.relative_to(root / "apps"))
        for path in paths
        if any(f" {each}" in path.read_text() for each in senders)
    }
    assert found == {
        "accounts/api/audit.py",
        "jobs/api/files.py",  # originals, and searchable PDFs, with the same headers
        "jobs/api/results.py",  # whether built before or not
        "jobs/api/events.py",  # events, which are no files
        "web/settings/account.py",  # a ZIP of one's own
    }


@pytest.mark.parametrize("path", ["/", "/sign-in", "/api/batch/jobs"])
def test_pages_differ_by_cookie(alice: User, client_for: ClientFor, path: str) -> None:
    assert "Cookie" in client_for(alice).get(path)["Vary"]


# --- the bare edges of the URL table ---------------------------------------------------------


def test_crawlers_are_asked_to_leave_and_the_icon_is_found() -> None:
    robots = Client().get("/robots.txt")
    assert (robots.content, robots["Content-Type"]) == (
        b"User-agent: *\nDisallow: /\n",
        "text/plain",
    )
    icon = Client().get("/favicon.ico")
    assert (icon.status_code, icon["Location"]) == (302, "/static/web/icon.svg")
    assert Client().post("/robots.txt").status_code == 405


# --- other sites -------------------------------------------------------------------------------


def cors(answer: Any) -> dict[str, str]:
    named = {name.lower(): value for name, value in answer.items()}
    return {name: value for name, value in named.items() if name.startswith("access-control-")}


def test_no_other_site_may_ask_unless_it_is_named(alice_api: APIClient) -> None:
    for headers in ({"Origin": ORIGIN}, {"Origin": "null"}, {"Origin": "http://["}):
        answer = alice_api.get("/api/batch/jobs", headers=headers)
        assert answer.status_code == 200
        assert cors(answer) == {}
    assert cors(Client().options("/api/batch/upload", headers=PREFLIGHT)) == {}


@override_settings(CORS_ALLOWED_ORIGINS=[ORIGIN])
def test_a_named_site_may_use_the_api_with_a_key_and_nothing_else(
    alice: User, alice_api: APIClient, client_for: ClientFor
) -> None:
    answer = alice_api.get("/api/batch/jobs", headers={"Origin": ORIGIN})
    told = cors(answer)
    assert told["access-control-allow-origin"] == ORIGIN
    assert "X-Request-ID" in told["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in told
    assert "origin" in answer["Vary"]
    for path in ("/", "/sign-in", "/health", "/admin/", "/static/nothing", "/apix"):
        assert cors(client_for(alice).get(path, headers={"Origin": ORIGIN})) == {}, path
    for stranger in ("https://app.example.com.evil.example", "http://app.example.com", "null"):
        assert cors(alice_api.get("/api/batch/jobs", headers={"Origin": stranger})) == {}


@override_settings(CORS_ALLOWED_ORIGINS=[ORIGIN])
def test_a_named_site_may_read_every_answer_below_api(db: None) -> None:
    for path in ("/api", "/api/", "/api/health", "/api/batch/jobs", "/api/nothing"):
        answer = Client().get(path, headers={"Origin": ORIGIN})
        assert answer.status_code == {"/api/batch/jobs": 401, "/api/nothing": 404}.get(path, 200)
        assert cors(answer)["access-control-allow-origin"] == ORIGIN


@override_settings(CORS_ALLOWED_ORIGINS=[ORIGIN])
def test_a_preflight_is_answered_without_a_key() -> None:
    answer = Client().options("/api/batch/upload", headers=PREFLIGHT)
    assert (answer.status_code, answer.content) == (200, b"")
    told = cors(answer)
    assert told["access-control-allow-origin"] == ORIGIN
    assert {"POST", "DELETE"} <= set(told["access-control-allow-methods"].split(", "))
    assert {"authorization", "content-type", "idempotency-key"} <= set(
        told["access-control-allow-headers"].lower().split(", ")
    )


# --- behind TLS: settings read at start, so in a process of their own ----------------------------

ASK = """
import json, django
django.setup()
from django.test import Client
def told(**how):
    answer = Client().get("/sign-in", **how)
    cookies = {name: bool(cookie["secure"]) for name, cookie in answer.cookies.items()}
    return [answer.status_code, dict(answer.items()), cookies]
print(json.dumps({
    "plain": told(),
    "claimed": told(headers={"X-Forwarded-Proto": "https"}),
    "claimed otherwise": told(headers={"X-Forwarded-Protocol": "https"}),
    "secure": told(secure=True),
    "health": [Client().get("/health", headers={"Host": "10.0.0.1"}).status_code],
}))
"""


def manage(tmp_path: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": os.environ["PATH"],
        "ENV_FILE": os.devnull,
        "DOCMILL_DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "ALLOWED_HOSTS": "testserver",
        "SECRET_KEY": "abcdefghij0123456789" * 3,
        **variables,
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=settings.BASE_DIR,
        env=env,
        check=True,
        capture_output=True,
        text=True,
        timeout=100,
    )


def asked(tmp_path: Path, **variables: str) -> dict[str, Any]:
    answers: dict[str, Any] = json.loads(manage(tmp_path, "-c", ASK, **variables).stdout)
    return answers


@pytest.mark.once
def test_https_only_redirects_and_says_never_to_come_otherwise(tmp_path: Path) -> None:
    answers = asked(tmp_path, HTTPS_ONLY="true", HTTPS_PROXY_HEADER="X-Forwarded-Proto")
    status, headers, _ = answers["plain"]
    assert (status, headers["Location"]) == (301, "https://testserver/sign-in")
    assert "Strict-Transport-Security" not in headers  # browsers must not believe it here
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert answers["claimed otherwise"][0] == 301
    status, headers, cookies = answers["claimed"]
    assert (status, cookies) == (200, {"csrftoken": True})
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert answers["health"] in ([200], [503])  # without a redirect, by any name


@pytest.mark.once
def test_without_the_proxys_header_nobody_can_claim_to_have_come_by_tls(tmp_path: Path) -> None:
    answers = asked(tmp_path, HTTPS_ONLY="true")
    assert answers["claimed"][0] == 301
    assert answers["secure"][0] == 200


@pytest.mark.once
def test_on_a_laptop_nothing_is_redirected(tmp_path: Path) -> None:
    status, headers, cookies = asked(tmp_path)["plain"]
    assert (status, cookies) == (200, {"csrftoken": False})
    assert "Strict-Transport-Security" not in headers
