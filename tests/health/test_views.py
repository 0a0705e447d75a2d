import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from django.test import Client, override_settings
from pytest_django import Settings

from apps.accounts.models import Organization, User
from apps.health import runs
from apps.jobs.models import BatchFile
from apps.queue import worker
from apps.queue.lanes import pause_for
from apps.queue.models import Pause, PeriodicRun, WorkerNode
from tests.batches import claimed, owner_of, submit
from tests.conftest import ApiFor, ClientFor
from tests.health.looking import alive
from tests.processes import eventually
from tests.servers import Valkey

pytestmark = pytest.mark.django_db(transaction=True)

PATHS = pytest.mark.parametrize("path", ["/health", "/api/health"])


@pytest.fixture(autouse=True)
def _service(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A beat and a worker have shown themselves; every look is a new one."""
    alive()
    monkeypatch.setattr(runs, "FRESH_SECONDS", 0.0)


def get_checks(path: str = "/health", *, expected: int = 200) -> dict[str, Any]:
    answer = Client().get(path)
    assert answer.status_code == expected, answer.content
    body: dict[str, Any] = answer.json()
    return body


@pytest.fixture
def broken_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """New connections find no database: a file that is none, a name that does not exist."""
    file = tmp_path / "not-a-database"
    file.write_bytes(b"this is not a database file" * 100)
    name = str(file) if connection.vendor == "sqlite" else "no_such_database"
    monkeypatch.setitem(connection.settings_dict, "NAME", name)
    return name


@PATHS
def test_everything_up(path: str) -> None:
    body = get_checks(path)
    assert body["status"] == "healthy"
    assert set(body) == {"status", "version", "timestamp", "checks"}
    assert {name: check["status"] for name, check in body["checks"].items()} == {
        "database": "connected",
        "redis": "connected",
        "monitoring": "disabled",
        "sandbox": "isolated",
        "storage": "ok",
        "workers": "ok",
        "beat": "ok",
        "queue": "ok",
    }
    assert body["checks"]["database"]["type"] == connection.vendor
    assert body["checks"]["redis"]["type"] == "valkey"
    assert body["checks"]["monitoring"]["type"] == "sentry"
    assert all(0 <= check["latency_ms"] < 1000 for check in body["checks"].values())


@PATHS
def test_head_answers_without_a_body(path: str) -> None:
    answer = Client().head(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["Content-Type"] == "application/json"


def test_other_methods_are_refused() -> None:
    assert Client().post("/health").status_code == 405


def test_is_never_cached_and_sets_no_cookie() -> None:
    answer = Client().get("/health")
    assert answer["Cache-Control"] == "no-store"
    assert not answer.cookies


def test_redis_gone_is_degraded_but_serves(valkey: Valkey) -> None:
    valkey.kill()
    body = get_checks()
    assert body["status"] == "degraded"
    assert body["checks"]["redis"]["status"] == "failed"
    assert body["checks"]["database"]["status"] == "connected"


def test_redis_back_is_healthy_again(valkey: Valkey) -> None:
    valkey.kill()
    get_checks()
    valkey.start()
    assert get_checks()["status"] == "healthy"


@pytest.mark.alone  # it measures
def test_frozen_redis_does_not_hold_up_the_answer(valkey: Valkey) -> None:
    valkey.freeze()
    started = time.monotonic()
    body = get_checks()
    assert time.monotonic() - started <= 1.2
    assert body["status"] == "degraded"
    assert body["checks"]["redis"]["status"] in {"timeout", "failed"}


def test_database_gone_is_unhealthy(broken_database: str) -> None:
    body = get_checks(expected=503)
    assert body["status"] == "unhealthy"
    assert body["checks"]["database"]["status"] == "failed"
    assert body["checks"]["redis"]["status"] == "connected"
    assert {body["checks"][name]["status"] for name in ("workers", "beat", "queue")} == {"unknown"}


def test_nothing_internal_is_told(broken_database: str, valkey: Valkey) -> None:
    valkey.kill()
    text = Client().get("/health").content.decode()
    assert broken_database not in text
    assert str(valkey.socket) not in text


def test_monitoring_is_enabled_by_its_setting() -> None:
    with override_settings(SENTRY_DSN="https://key@sentry.invalid/1"):
        body = get_checks()
    assert body["checks"]["monitoring"]["status"] == "enabled"
    assert body["status"] == "healthy"


def test_many_checks_leave_no_connection_and_no_thread(
    django_db_blocker: Any, valkey: Valkey, count_connections: Callable[[], int]
) -> None:
    get_checks()
    threads, connections = threading.active_count(), count_connections()
    for _ in range(20):
        get_checks()
    # A look ends a moment after it was told.
    eventually(lambda: threading.active_count() <= threads and count_connections() <= connections)


@pytest.fixture
def count_connections(valkey: Valkey) -> Callable[[], int]:
    """How many clients Valkey and, where it is a server, the database have."""
    import redis

    client = redis.Redis.from_url(valkey.url)

    def count() -> int:
        clients = len(client.client_list())
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                # Of this database, and not of what tidies up there by itself.
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND backend_type = 'client backend'"
                )
                clients += cursor.fetchone()[0]
        return clients

    return count


@PATHS
def test_another_method_is_a_problem(client: Client, path: str) -> None:
    answer = client.post(path)
    assert answer.status_code == 405
    assert answer["Allow"] == "GET, HEAD"
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "request.method_not_allowed"


# --- what each check tells ---------------------------------------------------------------------


def status_of(check: str) -> str:
    body = get_checks(expected=503 if check == "database" else 200)
    assert body["status"] == ("unhealthy" if check == "database" else "degraded")
    status: str = body["checks"][check]["status"]
    return status


def test_nobody_works(valkey: Valkey) -> None:
    WorkerNode.objects.update(seen_at=Now() - timedelta(seconds=31))
    assert status_of("workers") == "failed"
    WorkerNode.objects.update(lanes=["default", "ocr"], seen_at=Now())
    assert status_of("workers") == "degraded"


def test_nobody_sweeps(valkey: Valkey) -> None:
    PeriodicRun.objects.update(started_at=Now() - timedelta(seconds=31))
    assert status_of("beat") == "failed"
    alive()
    PeriodicRun.objects.create(name="cleanup", started_at=Now(), error="it broke")
    assert status_of("beat") == "degraded"


def test_the_queue_stands_still(valkey: Valkey, acme: Organization) -> None:
    pause_for("ocr", seconds=60, reason="The disk is full.")
    assert status_of("queue") == "degraded"
    Pause.objects.update(paused_by=owner_of(acme).user)
    assert get_checks()["status"] == "healthy"  # somebody knows
    Pause.objects.all().delete()
    submit(acme, "one")
    claimed(worker_id=worker.worker_id)
    BatchFile.objects.update(lease_expires_at=Now() - timedelta(minutes=5))
    assert status_of("queue") == "degraded"


def test_work_waits_where_nobody_serves(valkey: Valkey, acme: Organization) -> None:
    submit(acme, "one")
    BatchFile.objects.update(available_at=Now() - timedelta(minutes=5))
    assert get_checks()["checks"]["queue"]["status"] == "ok"
    WorkerNode.objects.update(lanes=["ocr"])
    assert status_of("queue") == "degraded"


def test_storage_that_is_full_or_read_only(
    valkey: Valkey, settings: Settings, tmp_path: Path
) -> None:
    settings.STORAGE_MIN_FREE_BYTES = 10**18
    assert status_of("storage") == "degraded"
    settings.STORAGE_MIN_FREE_BYTES = 0
    (tmp_path / "file").touch()
    settings.DOCMILL_DATA_DIR = tmp_path / "file" / "data"
    assert status_of("storage") == "failed"


def test_a_redis_that_takes_no_writes(valkey: Valkey, settings: Settings) -> None:
    valkey._client.config_set("maxmemory", "1")
    try:
        assert status_of("redis") == "degraded"
    finally:
        valkey._client.config_set("maxmemory", "0")
    settings.CACHE_REDIS_URL = "redis://127.0.0.1:1/0"
    assert status_of("redis") == "failed"
    settings.CACHE_REDIS_URL = "memory"
    assert get_checks()["checks"]["redis"]["status"] == "connected"


def test_a_database_without_the_tables_of_this_version(valkey: Valkey) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'queue' AND name LIKE '0001%'")
    try:
        assert status_of("database") == "degraded"
        assert Client().get("/health/ready").status_code == 503
    finally:
        MigrationRecorder(connection).record_applied("queue", "0001_initial")
    assert eventually(lambda: Client().get("/health/ready").status_code == 200)


def test_a_change_is_logged_once(valkey: Valkey, caplog: pytest.LogCaptureFixture) -> None:
    WorkerNode.objects.all().delete()
    for _ in range(3):
        get_checks()
    alive()
    get_checks()
    told = [record.getMessage() for record in caplog.records if record.name == "apps.health"]
    assert told == [
        "health: workers: no worker has shown itself lately",
        "health: workers is well again",
    ]


# --- for orchestrators --------------------------------------------------------------------------


def test_live_and_ready(valkey: Valkey, broken_database: str) -> None:
    client = Client(headers={"host": "10.1.2.3"})
    live = client.get("/health/live")
    assert (live.status_code, live.json()) == (200, {"status": "alive"})
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
    assert client.head("/health/live").content == b""
    assert client.post("/health/ready").status_code == 405


def test_ready_without_redis_and_without_workers(valkey: Valkey) -> None:
    valkey.kill()
    WorkerNode.objects.all().delete()
    ready = Client().get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")


# --- for operators --------------------------------------------------------------------------------

DETAILS = "/api/health/details"


def test_details_are_for_staff(
    valkey: Valkey, alice: User, bob: User, client_for: ClientFor, api_for: ApiFor
) -> None:
    for nobody, code in ((Client(), "auth.required"), (api_for("dm_wrong"), "auth.invalid_key")):
        answer = nobody.get(DETAILS)
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert answer["WWW-Authenticate"].startswith("Bearer")
    for door in (client_for(alice), api_for(alice)):
        answer = door.get(DETAILS)
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.forbidden")
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    for door in (client_for(alice), api_for(alice)):
        body = door.get(DETAILS).json()
        assert body["status"] == "healthy"
        assert body["details"]["versions"]["docmill"] == body["version"]
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert api_for(alice).get(DETAILS).json()["code"] == "auth.inactive_user"
    assert client_for(alice).get(DETAILS).status_code == 401  # nobody is signed in so


def test_details_tell_what_operators_ask(
    valkey: Valkey, alice: User, acme: Organization, api_for: ApiFor
) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    submit(acme, "one", "two")
    BatchFile.objects.update(available_at=Now() - timedelta(seconds=90))
    told = api_for(alice).get(DETAILS).json()["details"]
    assert told["pool"] is None  # this process has none
    assert told["database"]["type"] == connection.vendor
    assert told["database"]["unapplied_migrations"] == []
    assert told["queue"]["lanes"]["default"]["waiting"] == 2
    assert 90 <= told["queue"]["oldest_waiting_seconds"] < 900
    [node] = told["queue"]["workers"]
    assert (node["slots"], node["is_silent"]) == (3, False)
    assert told["queue"]["last_sweep_at"]
    assert not told["queue"]["sweep_is_late"]
    assert told["redis"][0]["for"] == ["REDIS_URL", "CACHE_REDIS_URL", "LIMITS_REDIS_URL"]
    assert 0 < told["storage"]["free_bytes"] < told["storage"]["total_bytes"]
    assert str(valkey.socket) not in json.dumps(told)


def test_details_that_hang_are_told_as_late(
    valkey: Valkey, alice: User, api_for: ApiFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    client = api_for(alice)
    valkey.freeze()
    started = time.monotonic()
    told = client.get(DETAILS).json()["details"]
    assert time.monotonic() - started < 2.0
    assert told["redis"]["status"] in {"timeout", "failed"}
    assert told["database"]["unapplied_migrations"] == []


def test_who_asks_while_the_database_is_gone_learns_what_everybody_may(
    valkey: Valkey, broken_database: str, api_for: ApiFor
) -> None:
    answer = api_for("dm_whatever").get(DETAILS)
    assert answer.status_code == 503
    assert answer.json()["status"] == "unhealthy"
    assert answer.json()["details"] == {"status": "unknown"}
