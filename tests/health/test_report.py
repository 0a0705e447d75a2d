from datetime import UTC, datetime

import pytest

from apps.health.report import Finding, health_answer, overall_status

GOOD = Finding("connected", "sqlite")
VITAL = frozenset({"database"})


@pytest.mark.parametrize(
    ("database", "redis", "expected"),
    [
        ("connected", "connected", "healthy"),
        ("ok", "disabled", "healthy"),
        ("ok", "isolated", "healthy"),
        ("ok", "weak", "degraded"),
        ("ok", "unknown", "degraded"),
        ("connected", "failed", "degraded"),
        ("connected", "timeout", "degraded"),
        ("connected", "degraded", "degraded"),
        ("failed", "connected", "unhealthy"),
        ("timeout", "failed", "unhealthy"),
        ("degraded", "connected", "unhealthy"),
    ],
)
def test_a_vital_check_decides_over_all_others(database: str, redis: str, expected: str) -> None:
    findings = {"database": Finding(database, "sqlite"), "redis": Finding(redis, "valkey")}
    assert overall_status(findings, vital=VITAL) == expected


def test_answer_has_the_documented_shape() -> None:
    now = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)
    findings = {"database": Finding("connected", "sqlite", 1.26)}
    assert health_answer(findings, vital=VITAL, version="1.2.3", now=now) == {
        "status": "healthy",
        "version": "1.2.3",
        "timestamp": "2026-05-04T03:02:01.123+00:00",
        "checks": {"database": {"status": "connected", "type": "sqlite", "latency_ms": 1.3}},
    }
