import pytest
from django.core.checks import Error
from django.core.checks.registry import registry
from django.db import connection
from pytest_django import Settings

from apps.health.configuration import configuration_lines, connections_line, redis_line
from tests.servers import Valkey

EVERYTHING = ["REDIS_URL", "CACHE_REDIS_URL", "LIMITS_REDIS_URL"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("most", "slots", "status", "room"),
    [
        (97, [3, 2], "ok", 5),  # as `up` has it, on a server as it comes
        (97, [3] * 9, "weak", 1),
        (97, [3] * 11, "broken", 0),
        (20, [3, 2], "broken", 0),
    ],
)
def test_connections_have_to_suffice(most: int, slots: list[int], status: str, room: int) -> None:
    line = connections_line(most=most, used=4, slots=slots)
    assert line.status == status
    assert f"room for {room} web processes" in line.detail
    assert ("DB_MAX_CONNECTIONS" in line.detail) == (status != "ok")


@pytest.mark.once
def test_a_larger_pool_takes_more(settings: Settings) -> None:
    settings.DATABASE_POOL = settings.DATABASE_POOL | {"max_size": 90}
    assert connections_line(most=97, used=4, slots=[3]).status == "broken"


@pytest.mark.once
@pytest.mark.parametrize(
    ("names", "most", "policy", "status", "told"),
    [
        (EVERYTHING, 0, "noeviction", "ok", "no limit"),
        (EVERYTHING, 1024, "noeviction", "weak", "CACHE_REDIS_URL"),
        (["REDIS_URL", "LIMITS_REDIS_URL"], 1024, "allkeys-lru", "weak", "noeviction"),
        (["REDIS_URL", "LIMITS_REDIS_URL"], 1024, "noeviction", "ok", ""),
        (["CACHE_REDIS_URL"], 1024, "allkeys-lru", "ok", ""),
        (["CACHE_REDIS_URL"], 0, "allkeys-lru", "weak", "without end"),
        (["CACHE_REDIS_URL"], 1024, "noeviction", "weak", "no more"),
    ],
)
def test_what_becomes_of_a_full_redis(
    names: list[str], most: int, policy: str, status: str, told: str
) -> None:
    line = redis_line("Redis", names, most=most, policy=policy)
    assert (line.status, told in line.detail) == (status, True)


@pytest.mark.django_db
def test_what_this_installation_has(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    def objects(**_: object) -> list[Error]:
        return [Error("This would fail.", hint="Set that.", id="tests.E001")]

    lines = {line.name: line for line in configuration_lines()}
    assert {line.status for line in lines.values()} == {"ok"}
    assert ("allowed" in lines["connections"].detail) == (connection.vendor == "postgresql")
    monkeypatch.setattr(registry, "registered_checks", {objects})
    objects.tags = ("tests",)  # type: ignore[attr-defined]
    [told] = [line for line in configuration_lines() if line.name == "tests.E001"]
    assert (told.status, told.detail) == ("broken", "This would fail. Set that.")


@pytest.mark.django_db
def test_missing_migrations_are_broken(valkey: Valkey) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'jobs' AND name LIKE '0001%'")
    [told] = [line for line in configuration_lines() if line.name == "migrations"]
    assert told.status == "broken"
    assert "jobs.0001" in told.detail
