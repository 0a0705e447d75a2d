"""X-Request-ID: accepted when well-formed, else made; in answers and in log lines."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.core.context import current_request_id
from apps.core.logs import JSON, formatter

pytestmark = [pytest.mark.once, pytest.mark.urls("tests.core.urls"), pytest.mark.django_db]


@pytest.fixture
def api() -> APIClient:
    return APIClient(raise_request_exception=False)


@pytest.fixture
def logged() -> Iterator[list[dict[str, Any]]]:
    """Every line from level INFO on, as production writes it."""
    lines: list[dict[str, Any]] = []
    handler = logging.Handler()
    handler.setFormatter(formatter(JSON))
    handler.emit = lambda record: lines.append(json.loads(handler.format(record)))  # type: ignore[method-assign]  # a list is enough
    logging.getLogger().addHandler(handler)
    yield lines
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
    api: APIClient, logged: list[dict[str, Any]], path: str
) -> None:
    api.get(path, headers={"X-Request-ID": "the-one-id"})
    assert logged[-1]["logger"] == "docmill.access"
    assert {line["request_id"] for line in logged} == {"the-one-id"}


def test_a_streamed_answer_is_logged_under_its_id_too(
    api: APIClient, logged: list[dict[str, Any]]
) -> None:
    answer = api.get("/api/streamed", headers={"X-Request-ID": "the-one-id"})
    assert b"".join(answer.streaming_content) == b"x"
    assert [line["message"] for line in logged] == ["while streaming", "request"]
    assert {line["request_id"] for line in logged} == {"the-one-id"}
    assert current_request_id() == "-"


def test_the_time_it_took_is_told_in_seconds(api: APIClient) -> None:
    assert 0 <= float(api.get("/api/nothing")["X-Process-Time"]) < 60
