"""Every error under /api is one shape, with a stable code, and tells no internals."""

import logging
from io import BytesIO
from typing import Any

import pytest
from rest_framework.test import APIClient

from tests.core.urls import SECRET

pytestmark = [pytest.mark.once, pytest.mark.urls("tests.core.urls"), pytest.mark.django_db]

MEMBERS = {"type", "title", "status", "code", "detail", "errors", "request_id"}


@pytest.fixture
def api() -> APIClient:
    return APIClient(raise_request_exception=False)


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The problem in `answer`, whole and of that status and code."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert set(told) == MEMBERS
    assert (told["status"], told["code"]) == (status, code)
    assert told["type"] == f"http://localhost:8000/errors/{code}"
    assert told["title"]
    assert told["detail"]
    assert told["request_id"] == answer["X-Request-ID"]
    assert SECRET not in answer.content.decode()
    return told


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("bug", 500, "server.error"),
        ("database", 503, "server.unavailable"),
        ("denied", 403, "auth.forbidden"),
        ("gone", 404, "request.not_found"),
        ("ours", 400, "request.invalid"),
        ("later", 500, "server.error"),
        ("suspicious", 400, "request.invalid"),
    ],
)
def test_errors_of_views(api: APIClient, kind: str, status: int, code: str) -> None:
    problem(api.get(f"/api/failing/{kind}"), status, code)


class Silent:
    """A body that stops coming, as `apps.core.split` has it read."""

    def read(self, *_: int) -> bytes:
        raise TimeoutError

    readline = read


def test_a_body_that_stops_coming_is_the_senders_to_know(
    api: APIClient, caplog: pytest.LogCaptureFixture
) -> None:
    sent: dict[str, Any] = {"wsgi.input": Silent(), "CONTENT_LENGTH": "9"}
    answer = api.post("/api/echo", {}, format="json", **sent)
    told = problem(answer, 400, "request.invalid")
    assert told["detail"] == "The body of the request did not come to its end."
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("bug", 500, "server.error"),
        ("denied", 403, "auth.forbidden"),
        ("gone", 404, "request.not_found"),
        ("suspicious", 400, "request.invalid"),
    ],
)
def test_errors_outside_the_framework(api: APIClient, kind: str, status: int, code: str) -> None:
    problem(api.get(f"/api/plain/{kind}"), status, code)


@pytest.mark.parametrize("kind", ["failing", "plain"])
def test_a_bug_is_logged_with_its_traceback_and_the_requests_id(
    api: APIClient, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    answer = api.get(f"/api/{kind}/bug")
    assert SECRET in caplog.text
    assert "Traceback" in caplog.text
    assert answer.status_code == 500


def test_retry_after_is_told_in_the_header(api: APIClient) -> None:
    assert api.get("/api/failing/later")["Retry-After"] == "7"
    assert int(api.get("/api/failing/database")["Retry-After"]) > 0


def test_what_is_wrong_with_each_field_is_told_by_its_path(api: APIClient) -> None:
    form = {"inner": {"number": 0}, "rows": [{"number": "x"}]}
    told = problem(api.post("/api/echo", form), 400, "request.invalid")
    assert {(each["field"], each["code"]) for each in told["errors"]} == {
        ("inner.number", "min_value"),
        ("rows.0.number", "invalid"),
    }
    fine = {"inner": {"number": 1}, "rows": []}
    told = problem(api.post("/api/echo", fine), 400, "request.invalid")
    assert [each["field"] for each in told["errors"]] == [""]


def test_text_that_cannot_be_encoded_is_told_as_well_as_it_can_be(api: APIClient) -> None:
    told = problem(api.get("/api/failing/ours"), 400, "request.invalid")
    assert told["errors"] == [{"field": "a.b", "code": "bad", "detail": "Half: ?."}]


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000, b'{"a":' * 100_000, b""])
def test_json_that_cannot_be_read(api: APIClient, content: bytes) -> None:
    answer = api.generic("POST", "/api/echo", content, "application/json")
    assert answer.status_code == 400
    code = "request.malformed" if content else "request.invalid"
    problem(answer, 400, code)


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("application/json", b'{"inner": "' + b" " * 3_000_000 + b'"}'),
        ("application/x-www-form-urlencoded", b"inner=" + b"+" * 3_000_000),
        ("application/x-www-form-urlencoded", b"&".join(b"a=1" for _ in range(10_001))),
    ],
)
def test_more_than_is_read_of_a_body(
    api: APIClient, caplog: pytest.LogCaptureFixture, media_type: str, content: bytes
) -> None:
    answer = api.post("/api/echo", content, content_type=media_type)
    problem(answer, 413, "request.too_large")
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


@pytest.mark.parametrize("path", ["/sign-in", "/api/echo"])
def test_files_that_nobody_asked_for_are_not_read(path: str) -> None:
    """They would be written to the disk, for anybody: a page looks for its token in the form."""
    api = APIClient(raise_request_exception=False, enforce_csrf_checks=True)
    api.cookies["csrftoken"] = "a" * 32
    for size, is_refused in ((3_000_000, True), (1000, False)):
        answer = api.post(path, {"file": BytesIO(b"x" * size)}, format="multipart")
        assert (answer.status_code == 413) is is_refused


def test_a_media_type_that_is_not_taken(api: APIClient) -> None:
    answer = api.generic("POST", "/api/echo", b"<a/>", "application/xml")
    problem(answer, 415, "request.unsupported_media_type")


@pytest.mark.parametrize(
    "path",
    ["/api/nothing", "/api//batch/jobs", "/api/batch/jobs/", "/api/batch/%00", "/api/\u00e9"],
)
def test_unknown_paths(api: APIClient, path: str) -> None:
    problem(api.get(path), 404, "request.not_found")


def test_a_method_that_does_not_fit_is_told_with_those_that_do(alice_api: APIClient) -> None:
    answer = alice_api.put("/api/batch/jobs")
    problem(answer, 405, "request.method_not_allowed")
    assert "GET" in answer["Allow"]
    assert "PUT" not in answer["Allow"]


def test_a_host_that_is_not_ours(api: APIClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = api.get("/api/batch/jobs", headers={"Host": "evil.example"})
    told = problem(answer, 400, "request.invalid")
    assert told["detail"] == "This host name is not served here; see ALLOWED_HOSTS."
    assert "evil" not in answer.content.decode()
    [line] = [each for each in caplog.records if each.name == "django.security.DisallowedHost"]
    assert "evil.example" in line.getMessage()
    assert "Traceback" not in caplog.text


def test_a_representation_that_nobody_has(alice_api: APIClient) -> None:
    answer = alice_api.get("/api/batch/jobs", headers={"Accept": "application/xml"})
    problem(answer, 406, "request.not_acceptable")
    problem(alice_api.get("/api/batch/jobs?format=xml"), 404, "request.not_found")


def test_who_accepts_only_problems_gets_json(alice_api: APIClient) -> None:
    only_problems = {"Accept": "application/problem+json"}
    answer = alice_api.get("/api/batch/jobs", headers=only_problems)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    answer = alice_api.get("/api/batch/jobs?limit=0", headers=only_problems)
    problem(answer, 400, "request.invalid")
    problem(APIClient().get("/api/batch/jobs", headers=only_problems), 401, "auth.required")
    weighed = {"Accept": "application/problem+json;q=0.9, application/xml"}
    assert alice_api.get("/api/batch/jobs", headers=weighed).status_code == 200


def test_people_see_a_page_and_programs_a_problem(alice_api: APIClient) -> None:
    answer = alice_api.get("/api/batch/jobs?limit=0", headers={"Accept": "text/html"})
    assert answer.status_code == 400
    assert answer["Content-Type"].startswith("text/html")
    for accept in ("*/*", "application/json"):
        answer = alice_api.get("/api/batch/jobs?limit=0", headers={"Accept": accept})
        problem(answer, 400, "request.invalid")


def test_head_and_options_are_answered_without_a_body_or_a_secret(alice_api: APIClient) -> None:
    head = alice_api.head("/api/batch/jobs")
    assert (head.status_code, head.content) == (200, b"")
    assert alice_api.head("/api/batch/jobs?limit=0").status_code == 400
    options = alice_api.options("/api/batch/jobs")
    assert options.status_code == 200
    assert APIClient().options("/api/batch/jobs").status_code == 401


def test_foreseen_errors_are_not_logged_as_ours(
    api: APIClient, caplog: pytest.LogCaptureFixture
) -> None:
    for kind in ("denied", "gone", "ours"):
        api.get(f"/api/failing/{kind}")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
