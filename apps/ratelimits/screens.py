"""The rows that `manage.py ratelimits` writes."""

from collections.abc import Iterator

from django.utils import timezone

from apps.core.screens import Row
from apps.ratelimits.inspection import Count
from apps.ratelimits.limiters import Limiter
from apps.ratelimits.models import RateLimitRule


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
