"""Each thing that the service rests on is frozen, killed or filled in turn: `/health` of the real
web server says so within a second, and that it is back."""

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from apps.accounts.models import User
from apps.accounts.services import create_api_key, create_organization, create_user
from tests.faults.conftest import scratch_folder
from tests.faults.moving import moved_to
from tests.faults.nursery import Nursery
from tests.faults.stage import Forked, Stage
from tests.jobs.serving import Web
from tests.processes import eventually
from tests.queue.test_processes import children_of
from tests.servers import Postgres, Valkey

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(240)]

SILENT_SECONDS = 4.0
ANSWER_SECONDS = 1.0
"""What is promised of every answer."""
SLOW_SECONDS = 3.0
"""What one of many may take on a machine that tests share: most keep what is promised."""


class Service:
    """A web server, a worker and a beat on a PostgreSQL and a Valkey of their own."""

    def __init__(self, stage: Stage, web: Web) -> None:
        self.stage, self.web = stage, web
        assert stage.postgres is not None
        self.postgres, self.valkey = stage.postgres, stage.valkey
        self.took: list[float] = []
        self.worker = self.start_worker()
        self.beat = self.start_beat()

    def start_worker(self) -> Forked:
        return self.stage.start("work", "--slots", "1")

    def start_beat(self) -> Forked:
        return self.stage.start("beat")

    def health(self) -> tuple[int, dict[str, Any]]:
        """Status and body, asked for over HTTP; how long it took is noted."""
        started = time.monotonic()
        status, _, body = self.web.ask("GET", "/health")
        self.took.append(time.monotonic() - started)
        return status, json.loads(body)

    def sees(self, check: str, *states: str, status: int, overall: str) -> bool:
        found, body = self.health()
        assert found == (503 if body["status"] == "unhealthy" else 200)
        return (found, body["status"]) == (status, overall) and (
            body["checks"][check]["status"] in states
        )

    def is_well(self) -> bool:
        return self.health()[1]["status"] == "healthy"


@pytest.fixture
def service(
    pytestconfig: pytest.Config,
    transactional_db: None,
    nursery: Nursery,
    own_postgres: Postgres,
    valkey: Valkey,
    tmp_path: Path,
) -> Iterator[Service]:
    folder = scratch_folder(pytestconfig)
    with ExitStack() as stack:
        stack.enter_context(moved_to(own_postgres, folder / "dump.sql"))
        owner = create_user(email="alice@example.com", password=None, name="Alice")
        User.objects.filter(pk=owner.pk).update(is_staff=True)
        acme = create_organization(name="Acme", owner=owner)
        stage = Stage(acme, nursery=nursery, folder=folder, valkey=valkey, postgres=own_postgres)
        stage.settings |= {"WORKER_SILENT_SECONDS": str(SILENT_SECONDS), "SWEEP_SECONDS": "1"}
        stack.callback(stage.close)
        web = Web(log=tmp_path / "web.log", data_dir=folder / "data", env=stage.settings)
        stack.callback(web.close)
        web.key = create_api_key(organization=acme, user=owner, name="operator")[1]
        service = Service(stage, web.wait_until_ready())
        eventually(service.is_well)
        yield service


# --- the strikes: each is over at the end of its block -------------------------------------------


@contextmanager
def redis_frozen(service: Service) -> Iterator[None]:
    service.valkey.freeze()
    try:
        yield
    finally:
        service.valkey.thaw()


@contextmanager
def redis_killed(service: Service) -> Iterator[None]:
    service.valkey.kill()
    try:
        yield
    finally:
        service.valkey.start()


@contextmanager
def database_frozen(service: Service) -> Iterator[None]:
    """The server and all that it has forked."""
    assert service.postgres._process is not None
    main = service.postgres._process.pid
    pids = [main, *children_of(main)]
    _send(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        _send([main, *children_of(main)], signal.SIGCONT)


@contextmanager
def database_killed(service: Service) -> Iterator[None]:
    connection.close()
    service.postgres.close()
    try:
        yield
    finally:
        service.postgres.run()


@contextmanager
def worker_frozen(service: Service) -> Iterator[None]:
    pids = service.worker.with_slots()
    _send(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        _send(pids, signal.SIGCONT)


@contextmanager
def worker_killed(service: Service) -> Iterator[None]:
    service.worker.kill_with_slots()
    try:
        yield
    finally:
        service.worker = service.start_worker()


@contextmanager
def beat_frozen(service: Service) -> Iterator[None]:
    service.beat.freeze()
    try:
        yield
    finally:
        service.beat.thaw()


@contextmanager
def beat_killed(service: Service) -> Iterator[None]:
    service.beat.kill()
    try:
        yield
    finally:
        service.beat = service.start_beat()


@contextmanager
def storage_full(service: Service) -> Iterator[None]:
    """No file of the web server can grow, as tests/faults/strikes.py has it."""
    pids = [service.web.pid, *service.web.descendants()]
    for pid in pids:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        for pid in pids:
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


def _send(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


AT_ONCE = ANSWER_SECONDS
IN_TIME = SILENT_SECONDS + 2
"""Of a worker or a beat that is gone nothing is known sooner than it would show itself."""
TABLE: list[tuple[Callable[[Service], Any], str, set[str], int, str, float]] = [
    (redis_frozen, "redis", {"timeout", "failed"}, 200, "degraded", AT_ONCE),
    (redis_killed, "redis", {"failed"}, 200, "degraded", AT_ONCE),
    (database_frozen, "database", {"timeout", "failed"}, 503, "unhealthy", AT_ONCE),
    (database_killed, "database", {"failed"}, 503, "unhealthy", AT_ONCE),
    (storage_full, "storage", {"failed"}, 200, "degraded", AT_ONCE),
    (worker_frozen, "workers", {"failed"}, 200, "degraded", IN_TIME),
    (worker_killed, "workers", {"failed"}, 200, "degraded", IN_TIME),
    (beat_frozen, "beat", {"failed"}, 200, "degraded", IN_TIME),
    (beat_killed, "beat", {"failed"}, 200, "degraded", IN_TIME),
]


def test_health_tells_the_truth_within_a_second_and_recovers(service: Service) -> None:
    for strike, check, states, status, overall, known_after in TABLE:
        service.took.clear()
        with strike(service):
            began = time.monotonic()

            def is_told(
                check: str = check,
                states: set[str] = states,
                status: int = status,
                overall: str = overall,
            ) -> bool:
                return service.sees(check, *states, status=status, overall=overall)

            eventually(is_told)
            told_after = time.monotonic() - began
            for _ in range(3):  # and keeps telling it
                assert is_told(), (strike.__name__, service.health())
            ready, _, _ = service.web.ask("GET", "/health/ready")
            assert ready == (503 if check == "database" else 200)
            assert service.web.ask("GET", "/health/live")[0] == 200
        eventually(service.is_well)
        took = sorted(service.took)
        middle = took[len(took) // 2]
        sys.stdout.write(
            f"{strike.__name__:<16} told after {told_after:4.1f} s; "
            f"answers {middle:.2f} s, longest {took[-1]:.2f} s\n"
        )
        assert middle < ANSWER_SECONDS, (strike.__name__, took)
        assert took[-1] < SLOW_SECONDS, (strike.__name__, took)
        assert told_after < known_after + SLOW_SECONDS, strike.__name__


def test_what_the_api_and_pages_answer_without_a_database(service: Service) -> None:
    web = service.web
    assert web.ask("GET", "/api/batch/jobs")[0] == 200
    for strike, patience in ((database_killed, 8.0), (database_frozen, 25.0)):
        with strike(service):
            for path, accept in (("/api/batch/jobs", "*/*"), ("/sign-in", "text/html")):
                began = time.monotonic()
                status, headers, body = web.ask("GET", path, Accept=accept, Cookie="sessionid=x")
                assert time.monotonic() - began < patience, (strike.__name__, path)
                if path == "/sign-in" and status == 200:
                    continue
                assert status == 503, (strike.__name__, path, body)
                assert int(headers["retry-after"]) > 0
                if accept == "*/*":
                    assert headers["content-type"] == "application/problem+json"
                    assert json.loads(body)["code"] == "server.unavailable"
            status, _, body = web.ask("GET", "/api/health/details")
            assert (status, json.loads(body)["details"]) == (503, {"status": "unknown"})
        eventually(lambda: web.ask("GET", "/api/batch/jobs")[0] == 200)
    pool = json.loads(web.ask("GET", "/api/health/details")[2])["details"]["pool"]
    assert set(pool) == {"size", "in_use", "idle", "waiting"}
    assert (pool["in_use"], pool["waiting"]) == (0, 0)
    assert 1 <= pool["size"] <= 10


def test_probes_of_what_hangs_do_not_pile_up(service: Service) -> None:
    with database_frozen(service):
        eventually(lambda: service.health()[0] == 503)
        for _ in range(40):
            assert service.web.ask("GET", "/health")[0] == 503
            time.sleep(0.3)
        threads = {Path(f"/proc/{pid}/task") for pid in service.web.descendants()}
        assert max(len(list(each.iterdir())) for each in threads if each.exists()) < 80
    eventually(service.is_well)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        assert cursor.fetchone()[0] < 20
