"""The limits of the API, as those who call it meet them."""

import re
import time
from pathlib import Path
from typing import Any

import http_sf
import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.accounts.services import create_api_key
from tests.conftest import ApiFor, ClientFor
from tests.jobs.forms import accepted, files_of, part, post, refusal
from tests.ratelimits.commands import commands_counted
from tests.servers import Valkey

pytestmark = [pytest.mark.django_db, pytest.mark.once]

JOBS = "/api/batch/jobs"
LIMITS = "/api/rate-limits"
HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Any) -> None:
    settings.DOCMILL_DATA_DIR = tmp_path / "data"


@pytest.fixture
def five(settings: Any) -> None:
    settings.LIMIT_API = "5/min, 100/h"


def told(answer: Any) -> list[int]:
    return [int(answer[name]) for name in HEADERS]


# --- headers and refusals -----------------------------------------------------------------------


def test_answers_tell_of_the_fullest_window(five: None, alice_api: APIClient) -> None:
    before = time.time()
    answer = alice_api.get(JOBS)
    limit, remaining, reset = told(answer)
    assert (limit, remaining) == (5, 4)
    assert before + 55 < reset < before + 65
    policy = {
        str(name): each
        for name, each in http_sf.parse(answer["RateLimit-Policy"].encode(), tltype="list")
    }
    assert policy["api-minute"] == {"q": 5, "w": 60}
    assert policy["api-hour"] == {"q": 100, "w": 3600}
    left = {
        str(name): each for name, each in http_sf.parse(answer["RateLimit"].encode(), tltype="list")
    }
    assert left["api-minute"]["r"] == 4
    assert left["api-hour"]["r"] == 99
    assert "global-hour" in left
    assert "Retry-After" not in answer
    assert told(alice_api.get(JOBS))[1] == 3


def test_the_sixth_is_refused_and_says_when_to_come_back(five: None, alice_api: APIClient) -> None:
    assert {alice_api.get(JOBS).status_code for _ in range(5)} == {200}
    answer = alice_api.get(JOBS)
    problem = refusal(answer, 429, "request.throttled")
    assert problem["limiter"] == "api"
    assert (problem["limit"], problem["remaining"]) == (5, 0)
    assert problem["retry_after"] == int(answer["Retry-After"])
    assert 55 <= problem["retry_after"] <= 60
    assert told(answer)[:2] == [5, 0]
    assert "RateLimit" in answer
    assert problem["request_id"] == answer["X-Request-ID"]


def test_who_waits_as_told_passes_and_not_a_second_earlier(
    settings: Any, alice_api: APIClient
) -> None:
    settings.LIMIT_API = "5/3s"
    assert {alice_api.get(JOBS).status_code for _ in range(5)} == {200}
    refused_at = time.monotonic()
    wait = int(alice_api.get(JOBS)["Retry-After"])
    assert 2 <= wait <= 3
    time.sleep(refused_at + wait - 1 - time.monotonic())
    assert alice_api.get(JOBS).status_code == 429
    time.sleep(refused_at + wait - time.monotonic())
    assert alice_api.get(JOBS).status_code == 200


def test_errors_count_and_tell_too(five: None, alice_api: APIClient) -> None:
    answer = alice_api.get(f"{JOBS}?limit=0")
    assert answer.status_code == 400
    assert told(answer)[:2] == [5, 4]
    assert told(alice_api.get(f"{JOBS}/0197d1f0-0000-7000-8000-000000000000"))[:2] == [5, 3]
    assert told(alice_api.post(JOBS))[:2] == [5, 2]  # 405


def test_a_browser_is_told_on_a_page(five: None, alice: User, client_for: ClientFor) -> None:
    browser = client_for(alice)
    as_browsers_do = {"Accept": "text/html,*/*;q=0.8"}
    first = browser.get(JOBS, headers=as_browsers_do)
    assert "<b>X-RateLimit-Remaining" in first.content.decode() or (
        "X-RateLimit-Remaining" in first.content.decode()
    )
    for _ in range(4):
        browser.get(JOBS, headers=as_browsers_do)
    answer = browser.get(JOBS, headers=as_browsers_do)
    assert answer.status_code == 429
    assert answer["Content-Type"].startswith("text/html")
    assert re.search(r"Try again in \d+ s\.", answer.content.decode())


# --- whom it counts -----------------------------------------------------------------------------


def test_each_key_and_each_user_is_counted_by_itself(
    five: None, alice: User, bob: User, acme: Organization, api_for: ApiFor, client_for: ClientFor
) -> None:
    keys = [create_api_key(organization=acme, user=alice, name=n)[1] for n in ("a", "b")]
    callers: list[Any] = [*(api_for(key) for key in keys), client_for(alice), api_for(bob)]
    for caller in callers:
        assert [caller.get(JOBS).status_code for _ in range(6)] == [200] * 5 + [429]


def test_who_is_not_signed_in_is_counted_by_address(settings: Any, alice_api: APIClient) -> None:
    settings.LIMIT_ANONYMOUS = "3/min"
    stranger = Client()
    assert [stranger.get("/api").status_code for _ in range(2)] == [200] * 2
    # Refused before the limits are asked, and counted all the same.
    answer = stranger.get(JOBS)
    assert answer.status_code == 401
    assert told(answer)[:2] == [3, 0]
    assert refusal(stranger.get(JOBS), 429, "request.throttled")["limiter"] == "anonymous"
    guess = {"Authorization": "Bearer dm_guessed"}
    assert stranger.get(JOBS, headers=guess).status_code == 429
    assert stranger.get("/api", REMOTE_ADDR="192.0.2.7").status_code == 200
    assert alice_api.get(JOBS).status_code == 200


def test_spoofed_headers_change_nothing(settings: Any) -> None:
    settings.LIMIT_ANONYMOUS = "2/min"
    answers = [
        Client().get(
            "/api", headers={"X-Forwarded-For": f"198.51.100.{n}", "Forwarded": f"for=1.1.1.{n}"}
        )
        for n in range(3)
    ]
    assert [each.status_code for each in answers] == [200, 200, 429]


def test_a_member_of_nothing_is_counted(five: None, charlie: User, client_for: ClientFor) -> None:
    browser = client_for(charlie)
    charlie.memberships.all().delete()
    assert [browser.get(JOBS).status_code for _ in range(6)] == [403] * 5 + [429]


def test_all_requests_together(settings: Any, alice_api: APIClient, bob_api: APIClient) -> None:
    settings.LIMIT_GLOBAL = "3/min"
    answers = [each.get(JOBS) for each in (alice_api, bob_api, alice_api, bob_api)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    assert answers[-1].json()["limiter"] == "global"


# --- what it costs ------------------------------------------------------------------------------


def test_one_round_trip_for_each_request(valkey: Valkey, alice_api: APIClient) -> None:
    alice_api.get(JOBS)  # the script is known now
    with commands_counted(valkey) as counted:
        alice_api.get(JOBS)
        assert counted().get("evalsha") == 1
        assert Client().get(JOBS).status_code == 401
        assert counted().get("evalsha") == 2


def test_what_is_asked_for_again_and_is_the_same_is_live(
    settings: Any, alice: User, client_for: ClientFor, alice_api: APIClient
) -> None:
    """A picture that the browser has already: 304."""
    picture = part((Path(settings.BASE_DIR) / "tests/data/survey.png").read_bytes(), "survey.png")
    job = accepted(alice_api, picture)
    [file] = files_of(alice_api, job)
    settings.LIMIT_API, settings.LIMIT_LIVE = "3/min", "2/min"
    path = f"/api/batch/files/{file['id']}/pages/1/image"
    browser = client_for(alice)
    first = browser.get(path)
    assert (first.status_code, first["X-RateLimit-Remaining"]) == (200, "2")
    known = {"If-None-Match": first["ETag"]}
    answers = [browser.get(path, headers=known) for _ in range(4)]
    assert [each.status_code for each in answers] == [304] * 4
    # Two were live; when there was no more room in that, the others counted as any request.
    assert [each["X-RateLimit-Limit"] for each in answers] == ["2", "2", "3", "3"]
    assert [each["X-RateLimit-Remaining"] for each in answers] == ["1", "0", "1", "0"]
    assert browser.get(path, headers=known).status_code == 429


def test_scripts_of_other_sites_read_the_headers(
    settings: Any, alice_api: APIClient, valkey: Valkey
) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    answer = alice_api.get(JOBS, headers={"Origin": "https://app.example"})
    exposed = set(answer["Access-Control-Expose-Headers"].split(", "))
    assert {name for name in answer.headers if "ratelimit" in name.lower()} < exposed
    assert "Retry-After" in exposed
    with commands_counted(valkey) as counted:
        asking = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
        assert Client().options(JOBS, headers=asking).status_code == 200
        assert "evalsha" not in counted()


FREE = ("/health", "/api/health", "/api/schema", "/api/docs", "/robots.txt", "/favicon.ico")


@pytest.mark.parametrize("path", FREE)
def test_what_is_never_limited_asks_nothing(path: str, settings: Any, valkey: Valkey) -> None:
    settings.LIMIT_ANONYMOUS = settings.LIMIT_GLOBAL = "1/min"
    with commands_counted(valkey) as counted:
        answers = [Client().get(path) for _ in range(3)]
        assert "evalsha" not in counted()
    assert {each.status_code for each in answers} <= {200, 302, 503}
    assert not [name for each in answers for name in each.headers if "ratelimit" in name.lower()]


def test_turned_off_nothing_is_asked_and_nothing_told(
    settings: Any,
    valkey: Valkey,
    five: None,
    alice_api: APIClient,
    alice: User,
    client_for: ClientFor,
) -> None:
    settings.ENABLE_RATE_LIMITING = False
    browser = client_for(alice)
    with commands_counted(valkey) as counted:
        answers = [alice_api.get(JOBS) for _ in range(7)]
        answers += [browser.get(path) for path in ("/", "/jobs/new", "/sign-in", "/password")]
        answers += [Client().post("/sign-in", {"username": "a@b.no", "password": "x"})]
        answers += [post(alice_api, part()), alice_api.get(LIMITS)]
        assert not {"evalsha", "eval", "set", "incrby"} & set(counted())
    assert {each.status_code for each in answers} <= {200, 202, 302}
    assert not [name for each in answers for name in each.headers if "ratelimit" in name.lower()]
    assert alice_api.get(LIMITS).json() == {"enabled": False, "limits": []}


# --- /api/rate-limits ---------------------------------------------------------------------------


def test_what_one_has_left(five: None, alice_api: APIClient, valkey: Valkey) -> None:
    alice_api.get(JOBS)
    with commands_counted(valkey) as counted:
        answers = [alice_api.get(LIMITS) for _ in range(3)]
        assert counted()["evalsha"] == 3
    assert not any("X-RateLimit-Limit" in each for each in answers)
    limits = {each["limiter"]: each for each in answers[-1].json()["limits"]}
    minute = limits["api"]["windows"][0]
    assert (minute["limit"], minute["used"], minute["remaining"]) == (5, 1, 4)
    assert limits["api"]["per"] == "key"
    assert limits["share"]["per"] == "organization"
    assert limits["batch-upload"]["windows"][0]["used"] == 0
    assert not {"global", "anonymous"} & set(limits)


def test_who_is_not_signed_in_sees_those_of_their_address() -> None:
    limits = Client().get(LIMITS).json()["limits"]
    assert [each["limiter"] for each in limits] == ["auth", "anonymous"]
    assert {each["per"] for each in limits} == {"address"}


def test_the_limits_are_in_the_schema_and_on_a_page(alice: User, client_for: ClientFor) -> None:
    browser = client_for(alice)
    schema = browser.get("/api/schema?format=json").json()
    assert "/api/rate-limits" in schema["paths"]
    assert "429" not in schema["paths"]["/api/rate-limits"]["get"]["responses"]
    refused = schema["paths"][JOBS]["get"]["responses"]["429"]
    assert "application/problem+json" in refused["content"]
    assert "Retry-After" in refused["headers"]
    page = browser.get(LIMITS, headers={"Accept": "text/html"}).content.decode()
    assert "batch-upload" in page


# --- while Redis is away ------------------------------------------------------------------------


def test_requests_pass_and_are_counted_while_redis_is_away(
    five: None, valkey: Valkey, alice_api: APIClient
) -> None:
    valkey.kill()
    answers = [alice_api.get(JOBS) for _ in range(6)]
    assert [each.status_code for each in answers] == [200] * 5 + [429]
    assert told(answers[0])[:2] == [5, 4]
