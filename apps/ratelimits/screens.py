"""What `manage.py ratelimits` writes: for people, or as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from apps.ratelimits.inspection import Count
from apps.ratelimits.limiters import Limiter
from apps.ratelimits.models import RateLimitRule

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    """Rows with the same names, and other tables that go with them."""

    title: str
    rows: Sequence[Row]
    name: str = ""
    more: Mapping[str, Sequence[Row]] = field(default_factory=dict)


def as_json(told: Told) -> str:
    named = {"for": told.name} if told.name else {}
    return json.dumps({**named, told.title: told.rows, **told.more}, indent=2)


def as_text(told: Told) -> str:
    """Tables, one below the other."""
    lines = [f"For {visible(told.name)}"] if told.name else []
    lines += _table(told.rows) or [f"no {told.title}"]
    for title, rows in told.more.items():
        lines += ["", f"{title}:", *(_table(rows) or ["none"])]
    return "\n".join(lines)


def _table(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    cells = [[*rows[0]], *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return visible("-" if value in (None, "") else str(value))


def visible(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def limiter_row(limiter: Limiter) -> Row:
    return {
        "limiter": limiter.name,
        "windows": ", ".join(map(str, limiter.windows)) or "unlimited",
        "per": " or ".join(kind.word for kind in limiter.per),
        "counts": limiter.counts,
        "setting": limiter.setting,
        "without_redis": limiter.fallback.value,
    }


def count_rows(count: Count) -> Iterator[Row]:
    """One for each window; one without numbers for what has none."""
    until = count.blocked_until
    base = {"limiter": count.limiter.name, "per": count.subject.kind.word, "state": count.state}
    last = {
        "rule": count.ruling.number if count.ruling else None,
        "blocked_until": until.isoformat(timespec="seconds") if until else None,
        "counted_in": count.source or None,
    }
    for each in count.windows:
        yield {
            **base,
            "window": str(each.window),
            "used": each.used,
            "remaining": each.remaining,
            "reset_seconds": each.reset_seconds,
            **last,
        }
    if not count.windows:
        numbers = {"window": None, "used": None, "remaining": None, "reset_seconds": None}
        yield {**base, **numbers, **last}


def rule_row(rule: RateLimitRule) -> Row:
    return {
        "id": rule.pk,
        "limiter": rule.limiter or "every limiter",
        "for": rule.target,
        "effect": rule.effect,
        "state": rule.state(timezone.now()),
        "expires_at": rule.expires_at.isoformat(timespec="seconds") if rule.expires_at else None,
        "by": rule.made_by.email if rule.made_by else "Docmill",
        "reason": rule.reason,
    }
