"""Errors of the limits."""

from http import HTTPStatus
from typing import Any

from apps.core.errors import DocmillError
from apps.ratelimits.decision import Decision


class TooManyRequests(DocmillError):
    """A limit is reached: 429. `decision` has what the headers tell."""

    code = "request.throttled"
    status = HTTPStatus.TOO_MANY_REQUESTS
    title = "Too many requests"

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        standing = decision.binding
        limit = f" ({standing.window})" if standing else ""
        super().__init__(
            f'The limit "{decision.limiter}"{limit} is reached. '
            f"Try again in {in_words(decision.retry_after)}.",
            retry_after=decision.retry_after,
        )

    def members(self) -> dict[str, Any]:
        """Which limit it is, and when to come back. `limit` is None where a rule blocks."""
        standing = self.decision.binding
        return {
            "limiter": self.decision.limiter,
            "limit": standing.window.limit if standing else None,
            "remaining": 0,
            "retry_after": self.decision.retry_after,
        }


def in_words(seconds: int) -> str:
    """A time to wait, never shorter than it is."""
    if seconds < 120:
        return f"{seconds} s"
    minutes = -(-seconds // 60)
    if minutes < 120:
        return f"{minutes} minutes"
    hours = -(-minutes // 60)
    return f"{hours} hours" if hours < 48 else f"{-(-hours // 24)} days"
