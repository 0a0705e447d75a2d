"""A request that takes too long: whatever it waits for ends, what it began is undone, and it is
told 503."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import repeat
from pathlib import Path
from threading import Event, Thread, Timer
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.accounts.services import create_api_key
from apps.caching.cache import Call, cache
from apps.caching.kinds import kinds
from apps.core import deadline, metrics
from apps.core.postgres import base
from apps.jobs.models import BatchJob
from apps.queue.models import WorkerNode
from apps.queue.worker import register
from tests.jobs.forms import UPLOAD, body_of, part, stored
from tests.jobs.serving import Web, answer_of
from tests.processes import eventually

EVENTS = "/api/batch/jobs/events"

pytestmark = pytest.mark.django_db(transaction=True)

ENDLESS = {
    "sqlite": """
        WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers)
        SELECT COUNT(*) FROM numbers""",
    "postgresql": "SELECT pg_sleep(60)",
}


@pytest.fixture
def served() -> Iterator[Any]:
    """The connection of a thread that serves requests: on PostgreSQL it comes from a pool."""
    before = connections["default"]
    if before.vendor == "sqlite":
        yield before
        return
    own = before.copy()
    own.settings_dict = {
        **own.settings_dict,
        "CONN_MAX_AGE": 0,
        "OPTIONS": {**own.settings_dict["OPTIONS"], "pool": {"min_size": 0, "max_size": 1}},
    }
    connections["default"] = own
    yield own
    connections["default"] = before
    own.close()
    own.close_pool()


def run(sql: str) -> Any:
    with connections["default"].cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone() if cursor.description else None


@transaction.atomic
def register_and_run(*statements: str) -> None:
    register(["default"], 1)
    with transaction.atomic():
        for sql in statements:
            run(sql)


def test_a_statement_that_takes_too_long_ends_and_its_transaction_with_it(served: Any) -> None:
    began = time.monotonic()
    with deadline.until(began + 0.3):
        with pytest.raises(OperationalError):
            register_and_run(ENDLESS[served.vendor])
        assert deadline.is_over()
        assert 0.3 <= time.monotonic() - began < 20
        with pytest.raises(deadline.OutOfTime):
            WorkerNode.objects.exists()
    assert not WorkerNode.objects.exists()
    register(["default"], 1)
    assert WorkerNode.objects.exists()


def test_many_quick_statements_end_as_well(served: Any) -> None:
    with pytest.raises(deadline.OutOfTime), deadline.until(time.monotonic() + 0.2):
        register_and_run(*repeat("SELECT 1", 1_000_000))
    assert not WorkerNode.objects.exists()


def test_who_waits_to_write_waits_no_longer_than_there_is_time(served: Any) -> None:
    held, over = Event(), Event()
    register(["default"], 1)

    def hold() -> None:
        with transaction.atomic():
            WorkerNode.objects.update(slots=2)
            held.set()
            over.wait(30)
        connection.close()

    if served.vendor == "postgresql":
        served.settings_dict["OPTIONS"]["pool"]["max_size"] = 2
    holder = Thread(target=hold)
    holder.start()
    assert held.wait(30)
    began = time.monotonic()
    with deadline.until(began + 0.3):
        with pytest.raises(OperationalError), transaction.atomic():
            WorkerNode.objects.update(slots=3)
        assert deadline.is_over()
        assert time.monotonic() - began < 10
    Timer(0.5, over.set).start()
    with transaction.atomic():  # without a deadline it is waited for as ever
        WorkerNode.objects.update(slots=4)
    holder.join(30)
    assert WorkerNode.objects.get().slots == 4


@pytest.mark.postgres
def test_a_server_that_is_frozen_is_not_waited_for(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "LAST_SECONDS", 0.3)
    [pid] = run("SELECT pg_backend_pid()")
    os.kill(pid, signal.SIGSTOP)
    try:
        with deadline.until(time.monotonic() + 0.3), pytest.raises(OperationalError):
            run("SELECT 1")
    finally:
        os.kill(pid, signal.SIGCONT)
    served.close_if_unusable_or_obsolete()
    assert run("SELECT 1") == (1,)


# --- what the request is told ---------------------------------------------------------------------


def too_slow() -> float:
    return float(metrics.TOO_SLOW._value.get())


def test_it_is_told_503_by_its_own_code_counted_and_logged(
    alice: User,
    api_for: Callable[..., APIClient],
    client_for: Callable[..., Client],
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    api, pages = api_for(alice), client_for(alice)
    before = too_slow()
    settings.REQUEST_TIMEOUT_SECONDS = 0.0
    api.raise_request_exception = pages.raise_request_exception = False
    answer = api.get("/api/batch/jobs")
    assert (answer.status_code, answer.json()["code"]) == (503, "server.timeout")
    assert answer["Content-Type"] == "application/problem+json"
    assert int(answer["Retry-After"]) > 0
    assert answer["X-Request-ID"] == answer.json()["request_id"]
    shown = pages.get("/jobs", headers={"Accept": "text/html"})
    assert shown.status_code == 503
    assert "It took too long" in shown.content.decode()
    assert too_slow() == before + 2
    assert "the time of the request was over" in caplog.text
    assert api.get("/health").status_code == 200  # has a time of its own
    settings.REQUEST_TIMEOUT_SECONDS = 30.0
    assert api.get("/api/batch/jobs").status_code == pages.get("/jobs").status_code == 200


@pytest.mark.once
def test_what_asks_an_ai_has_twice_the_time(settings: Settings) -> None:
    settings.REQUEST_TIMEOUT_SECONDS = 30.0

    def view() -> None: ...

    assert deadline.extra_seconds(view) == 0
    view.limiters = ("api", "ai")  # type: ignore[attr-defined]  # as a decorator notes it
    assert deadline.extra_seconds(view) == 30
    assert deadline.extra_seconds(type("View", (), {"cls": view})) == 30


@pytest.mark.once
def test_the_time_in_which_bytes_move_is_not_counted() -> None:
    with deadline.until(time.monotonic() + 0.2):
        with deadline.unhurried():
            time.sleep(0.3)
            assert deadline.left() is None
        assert 0 < (deadline.left() or 0) <= 0.2
        assert deadline.bounded(10) <= 0.2
    assert deadline.bounded(10) == 10


@pytest.mark.once
def test_others_do_not_share_the_haste_of_who_computes_for_them() -> None:
    began, over = Event(), Event()

    def work() -> str:
        if began.is_set():
            return "in time"
        began.set()
        over.wait(30)
        raise deadline.OutOfTime("over")

    def hurry() -> None:
        with deadline.until(time.monotonic()), pytest.raises(deadline.OutOfTime):
            cache.get(call)

    call = Call(kinds()["default"], "docmill:values:tests", (), work)
    first = Thread(target=hurry)
    first.start()
    assert began.wait(30)
    Timer(0.3, over.set).start()
    assert cache.get(call).value == "in time"
    first.join(30)


# --- behind the web server ------------------------------------------------------------------------


@pytest.fixture
def web(tmp_path: Path, alice: User, acme: Organization) -> Iterator[Web]:
    env = {"REQUEST_TIMEOUT_SECONDS": "2", "LIVE_RECHECK_SECONDS": "0.3"}
    server = Web(log=tmp_path / "web.log", data_dir=tmp_path / "data", env=env)
    server.key = create_api_key(organization=acme, user=alice, name="web")[1]
    server.wait_until_ready()
    for path in ("/api/batch/jobs", UPLOAD, EVENTS):  # the first of each imports much
        eventually(lambda path=path: server.ask("HEAD", path)[0] != 503)
    yield server
    server.close()


def test_a_web_process_answers_in_time_and_cuts_nothing_that_moves(
    web: Web, tmp_path: Path
) -> None:
    slow = body_of([part()])
    with closing(web.connect()) as stream, web.begin([slow[:40]], len(slow)) as upload:
        key = {"Authorization": f"Bearer {web.key}"}
        stream.request("GET", EVENTS, headers=key)
        events = stream.getresponse()
        assert events.status == 200
        with transaction.atomic():
            if connection.vendor == "postgresql":  # SQLite lets one transaction write at a time
                run("LOCK TABLE jobs_batchjob IN SHARE MODE")
            began = time.monotonic()
            status, headers, body = web.submit(part())
            took = time.monotonic() - began
        assert (status, json.loads(body)["code"]) == (503, "server.timeout")
        assert 1.9 < took < 15
        assert int(headers["retry-after"]) > 0
        assert not BatchJob.objects.exists()
        assert stored(tmp_path / "data" / "blobs") == []
        upload.sendall(slow[40:])
        assert answer_of(upload).status == 202
        assert web.submit(part())[0] == 202
        told = iter(events.readline, b"")
        assert next(line for line in told if b'"total":1' in line.replace(b" ", b""))
    assert BatchJob.objects.count() == 2
    assert "the time of the request was over" in web.output
