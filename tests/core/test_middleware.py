"""X-Request-ID: accepted when well-formed, else made; in answers and in log lines."""

import logging
from collections.abc import Iterator

import pytest
from rest_framework.test import APIClient

from apps.core.middleware import RequestIdFilter, current_request_id

pytestmark = [pytest.mark.once, pytest.mark.urls("tests.core.urls"), pytest.mark.django_db]


@pytest.fixture
def api() -> APIClient:
    return APIClient(raise_request_exception=False)


@pytest.fixture
def logged() -> Iterator[list[logging.LogRecord]]:
    """Every record of warning level or higher, as the console's filter leaves it."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]  # a list is enough
    handler.addFilter(RequestIdFilter())
    logging.getLogger().addHandler(handler)
    yield records
    logging.getLogger().removeHandler(handler)


def told_id(api: APIClient, given: str | None = None) -> str:
    headers = {} if given is None else {"X-Request-ID": given}
    return str(api.get("/api/nothing", headers=headers)["X-Request-ID"])


@pytest.mark.parametrize("given", ["a" * 8, "a" * 64, "Trace_1.2-3", "0" * 32])
def test_a_well_formed_id_is_taken_over(api: APIClient, given: str) -> None:
    assert told_id(api, given) == given


@pytest.mark.parametrize(
    "given",
    [None, "", "a" * 7, "a" * 65, "with space", "a\r\nSet-Cookie: x=y", "é" * 10, "<b>aaaaaa"],
)
def test_any_other_is_replaced(api: APIClient, given: str | None) -> None:
    made = told_id(api, given)
    assert made != given
    assert len(made) == 32
    assert made.isalnum()


def test_every_request_has_its_own(api: APIClient) -> None:
    assert told_id(api) != told_id(api)
    assert current_request_id() == "-"


@pytest.mark.parametrize("path", ["/api/nothing", "/api/failing/bug", "/api/plain/bug"])
def test_every_line_of_a_request_carries_its_id(
    api: APIClient, logged: list[logging.LogRecord], path: str
) -> None:
    api.get(path, headers={"X-Request-ID": "the-one-id"})
    assert logged
    assert {record.request_id for record in logged} == {"the-one-id"}  # type: ignore[attr-defined]


def test_a_streamed_answer_is_logged_under_its_id_too(
    api: APIClient, logged: list[logging.LogRecord]
) -> None:
    answer = api.get("/api/streamed", headers={"X-Request-ID": "the-one-id"})
    assert b"".join(answer.streaming_content) == b"x"
    [record] = logged
    assert record.request_id == "the-one-id"  # type: ignore[attr-defined]
    assert current_request_id() == "-"


def test_the_time_it_took_is_told_in_seconds(api: APIClient) -> None:
    assert 0 <= float(api.get("/api/nothing")["X-Process-Time"]) < 60
