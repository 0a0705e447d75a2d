"""Errors of the limits."""

from http import HTTPStatus

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
            f"Try again in {decision.retry_after} s.",
            retry_after=decision.retry_after,
        )
