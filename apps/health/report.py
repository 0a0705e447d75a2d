"""From what the probes found to one answer. Pure: time and version come in as arguments."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

GOOD = frozenset({"connected", "enabled", "disabled", "isolated", "checking", "ok"})

UNKNOWN = "unknown"
"""Nobody can tell while what tells it does not answer."""

HEALTHY = "healthy"
DEGRADED = "degraded"
UNHEALTHY = "unhealthy"


@dataclass(frozen=True)
class Finding:
    """What one probe saw.

    `status` is one of connected, enabled, disabled, isolated, checking (for a moment), ok, weak,
    degraded, failed, timeout, unknown; `type` names the product behind it (sqlite, valkey, sentry,
    ...), or what is weak (network, files, ... joined by "+").
    """

    status: str
    type: str
    latency_ms: float = 0.0

    def is_good(self) -> bool:
        """Whether nobody needs to look. What is not configured (`disabled`) is good."""
        return self.status in GOOD

    def as_json(self) -> dict[str, Any]:
        return {"status": self.status, "type": self.type, "latency_ms": round(self.latency_ms, 1)}


def overall_status(findings: Mapping[str, Finding], *, vital: frozenset[str]) -> str:
    """`healthy`, `degraded` (still serving) or `unhealthy` (a vital check is not good)."""
    bad = {name for name, finding in findings.items() if not finding.is_good()}
    if bad & vital:
        return UNHEALTHY
    return DEGRADED if bad else HEALTHY


def health_answer(
    findings: Mapping[str, Finding], *, vital: frozenset[str], version: str, now: datetime
) -> dict[str, Any]:
    """The body of `/health`: `{"status", "version", "timestamp", "checks": {name: {...}}}`."""
    return {
        "status": overall_status(findings, vital=vital),
        "version": version,
        "timestamp": now.isoformat(timespec="milliseconds"),
        "checks": {name: finding.as_json() for name, finding in findings.items()},
    }
