"""How long a request may take, by what kind its route is of: after that it is told 503.

    ordinary        settings.REQUEST_TIMEOUT_SECONDS
    asks an AI      twice that: views that the limiter `ai` counts
    event streams   LIVE_STREAM_SECONDS, after the head of the answer, which is ordinary
    downloads       as long as somebody reads, after the head of the answer
    uploads         the time in which bytes move is not counted: `unhurried`

A thread cannot be stopped from outside, so whatever a request waits for looks at the time: each
statement before it begins (`queries`) and while it runs (`postgres.base`, and `watch` for SQLite),
and who waits for a connection of the pool, a value of the cache or a picture. What runs in one
piece without any of these ends late. Workers, beat and commands have no deadline.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.db import OperationalError

BEGAN = "docmill.began"
"""Where the scope of a request has since when it is in line for a thread, of `time.monotonic`."""
AI = "ai"
STEPS = 100_000
"""Of SQLite's machine, after which it asks whether to go on: some milliseconds."""

_end: ContextVar[float | None] = ContextVar("docmill_deadline", default=None)


class OutOfTime(OperationalError):
    """The request's time was over before the statement began."""


@contextmanager
def until(end: float) -> Iterator[None]:
    """Within, the time is over at `end`, of `time.monotonic`."""
    token = _end.set(end)
    try:
        yield
    finally:
        _end.reset(token)


@contextmanager
def unhurried() -> Iterator[None]:
    """The time that passes within is not counted. For bytes that move: how fast they must is
    said elsewhere (`split.SLOWEST`, and the timeouts of storage)."""
    end, began = _end.get(), time.monotonic()
    if end is None:
        yield
        return
    _end.set(None)
    try:
        yield
    finally:
        _end.set(end + time.monotonic() - began)


def move(seconds: float) -> None:
    """The time is over so much later."""
    end = _end.get()
    if end is not None:
        _end.set(end + seconds)


def left() -> float | None:
    """Seconds; below 0 when the time is over, None where there is no deadline."""
    end = _end.get()
    return None if end is None else end - time.monotonic()


def bounded(seconds: float) -> float:
    """So long may be waited by whoever would wait for `seconds`."""
    end = _end.get()
    return seconds if end is None else max(0.0, min(seconds, end - time.monotonic()))


def is_over() -> bool:
    end = _end.get()
    return end is not None and time.monotonic() >= end


def extra_seconds(view: Any) -> float:
    """What requests for `view` may take beyond ordinary ones."""
    limiters = getattr(getattr(view, "cls", view), "limiters", ())
    return settings.REQUEST_TIMEOUT_SECONDS if AI in limiters else 0.0


# --- statements -----------------------------------------------------------------------------------


def before_statement(connection: Any) -> None:
    """Raises OutOfTime. On SQLite, bounds how long the statement waits for its turn to write."""
    end = _end.get()
    if end is None and not hasattr(connection, "docmill_waits"):
        return
    seconds = None if end is None else end - time.monotonic()
    if seconds is not None and seconds <= 0:
        raise OutOfTime("the time of the request is over")
    if connection.vendor == "sqlite":
        _bound_waiting(connection, seconds)


def _bound_waiting(connection: Any, seconds: float | None) -> None:
    usual = connection.settings_dict["OPTIONS"].get("timeout", 5.0)
    wanted = usual if seconds is None else min(usual, seconds)
    if wanted != getattr(connection, "docmill_waits", usual):
        # A moment longer, so that the time is over when it ends.
        connection.connection.execute(f"PRAGMA busy_timeout = {int(wanted * 1000) + 2}")
        connection.docmill_waits = wanted
    if wanted == usual:
        vars(connection).pop("docmill_waits", None)


def watch(connection: Any) -> None:
    """Of a new connection: has SQLite end statements when the time is over."""
    vars(connection).pop("docmill_waits", None)
    if connection.vendor == "sqlite":
        connection.connection.set_progress_handler(is_over, STEPS)
