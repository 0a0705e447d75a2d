"""What a submission counts for the limits: one batch that was accepted, and nothing else.

It is counted before the body is read, so that of many at once no more than the limit get in, and
given back when no job comes of it: refused, given up, or the answer to an earlier request.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from apps.accounts.actor import Actor
from apps.jobs.services import is_known
from apps.ratelimits.requests import AnyRequest, count, give_back

BATCHES = "batch-upload"
BY_OPERATION = ("ocr",)
"""Operations with a limiter of the same name: it counts requests, whatever they hold."""
WITHIN = (BATCHES, *BY_OPERATION)


class BatchCount:
    """Of one request."""

    def __init__(self, request: AnyRequest) -> None:
        self.is_accepted = False
        self._request = request
        self._is_counted = False

    def begin(self, *, actor: Actor, route: str, key: str) -> None:
        """Counts a batch, unless the Idempotency-Key `key` ("" for none) has its answer already.
        Raises TooManyRequests."""
        if not is_known(actor=actor, route=route, key=key):
            count(self._request, BATCHES)
            self._is_counted = True

    def ask_for(self, operation: str) -> None:
        """Counts what the batch asks for. Raises TooManyRequests."""
        if self._is_counted and operation in BY_OPERATION:
            count(self._request, operation)


@contextmanager
def counting(request: AnyRequest) -> Iterator[BatchCount]:
    """What is counted within is given back, unless `is_accepted` is true at the end."""
    counts = BatchCount(request)
    try:
        yield counts
    finally:
        if not counts.is_accepted:
            give_back(request, *WITHIN)
