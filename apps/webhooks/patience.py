"""When a message is sent again, how long an endpoint is left alone, when it is given up. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

GONE = 410
"""The answer of a receiver that wants no more."""
MAX_WAIT_SECONDS = 12 * 3600
"""The longest that a receiver can ask for with Retry-After."""
MAX_REST_SECONDS = 300
FAILING_FOR = timedelta(days=5)
MAX_GIVEN_UP = 50
"""Messages in a row of which every try failed."""


def asked_wait(header: str, now: datetime) -> float:
    """The seconds that a Retry-After asks for, within bounds; 0 for none that can be read."""
    if header.isascii() and header.isdigit():
        return min(float(header[:9]), MAX_WAIT_SECONDS)
    try:
        moment = parsedate_to_datetime(header)
        seconds = (moment - now).total_seconds()
    except (TypeError, ValueError):  # the latter also where the moment has no zone
        return 0.0
    return min(max(seconds, 0.0), MAX_WAIT_SECONDS)


def rest_seconds(failed_in_row: int, waits: Sequence[float]) -> float:
    """How long an endpoint whose last tries failed is left alone, whatever waits for it: one that
    is away must cost one try at a time, not one for every message."""
    if not waits or failed_in_row < 1:
        return 0.0
    return min(waits[min(failed_in_row, len(waits)) - 1], MAX_REST_SECONDS)


def is_lost(*, failing_since: datetime | None, given_up_in_row: int, now: datetime) -> bool:
    """Whether nothing more is sent to an endpoint that has just let every try at a message fail."""
    if given_up_in_row >= MAX_GIVEN_UP:
        return True
    return failing_since is not None and now - failing_since >= FAILING_FOR
