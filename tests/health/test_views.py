import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client, override_settings

from apps.health import probes
from tests.processes import eventually
from tests.servers import Valkey

pytestmark = pytest.mark.django_db

PATHS = pytest.mark.parametrize("path", ["/health", "/api/health"])


@pytest.fixture(autouse=True)
def _nobody_else_looks() -> None:
    """A look that a test before left hanging is over: who asks meanwhile would share its answer."""
    under_way = probes._runs._under_way
    eventually(lambda: all(future.done() for _, future in under_way.values()))


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


def test_without_a_redis_cache_the_check_is_disabled() -> None:
    memory = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    with override_settings(CACHES=memory):
        body = get_checks()
    assert body["checks"]["redis"]["status"] == "disabled"
    assert body["status"] == "healthy"


def test_many_checks_leave_no_connection_and_no_thread(
    django_db_blocker: Any, valkey: Valkey, count_connections: Callable[[], int]
) -> None:
    get_checks()
    before = (threading.active_count(), count_connections())
    for _ in range(20):
        get_checks()
    assert (threading.active_count(), count_connections()) == before


@pytest.fixture
def count_connections(valkey: Valkey) -> Callable[[], int]:
    """How many clients Valkey and, where it is a server, the database have."""
    import redis

    client = redis.Redis.from_url(valkey.url)

    def count() -> int:
        clients = len(client.client_list())
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL")
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
