"""Draws pages for the web process: one at a time, in a child that is there only while needed.

Whoever waits for a picture holds one of the web server's threads, so few may wait, and not long.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from apps.core import deadline
from apps.core.errors import Unavailable
from apps.processors.host import Budget, ProcessorHost
from apps.processors.protocol import Member, Options

PROCESSOR = "apps.processors.pictures.PagePicture"
BUDGET = Budget(seconds=15, silence_seconds=15, memory_bytes=1024**3)
MAX_WAITING = 8
PATIENCE_SECONDS = 40.0
RETRY_SECONDS = 5
IDLE_SECONDS = 30.0
"""After this long without work the child is ended: idle, it would keep some 60 MB."""


@dataclass(frozen=True)
class Order:
    """Page `options.pages` of `source`, to be drawn into the existing folder `into`, unless it is
    not wanted any more when its turn has come. `owner`: whose it is; no two share a child."""

    source: Path
    kind: str
    options: Options
    owner: str
    into: Path
    is_wanted: Callable[[], bool]
    done: "Future[tuple[Member, ...]]" = field(default_factory=Future)


class Darkroom:
    """One child, and the one thread that it belongs to: it would die with any other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: queue.Queue[Order] = queue.Queue(MAX_WAITING)
        self._thread: threading.Thread | None = None

    def draw(self, order: Order) -> tuple[Member, ...]:
        """The pictures, each called by its width; none when the order was not wanted any more.

        Raises ProcessingError, OSError when a file cannot be copied, and Unavailable when too many
        wait already or it takes too long.
        """
        with self._lock:
            try:
                self._orders.put_nowait(order)
            except queue.Full:
                raise _too_busy() from None
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="darkroom", daemon=True)
                self._thread.start()
        try:
            return order.done.result(deadline.bounded(PATIENCE_SECONDS))
        except TimeoutError:
            order.done.cancel()
            raise _too_busy() from None

    def _work(self) -> None:
        host = ProcessorHost([PROCESSOR])
        try:
            while order := self._next():
                if order.done.set_running_or_notify_cancel():
                    _answer(host, order)
        finally:
            host.close()

    def _next(self) -> Order | None:
        """The next order; None after a while without any, and this thread is to end."""
        try:
            return self._orders.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            pass
        with self._lock:
            if self._orders.empty():
                self._thread = None
                return None
        return self._orders.get()


def _too_busy() -> Unavailable:
    detail = "Too many pages are being drawn. Try again in a moment."
    return Unavailable(detail, retry_after=RETRY_SECONDS)


def _answer(host: ProcessorHost, order: Order) -> None:
    try:
        order.done.set_result(_drawn(host, order))
    except Exception as error:  # noqa: BLE001 (raised again by whoever waits for it)
        order.done.set_exception(error)


def _drawn(host: ProcessorHost, order: Order) -> tuple[Member, ...]:
    if not order.is_wanted():
        return ()
    outcome = host.run(
        processor=PROCESSOR,
        source=order.source,
        name=order.source.name,
        kind=order.kind,
        options=order.options,
        owner=order.owner,
        budget=BUDGET,
        on_progress=lambda *_: None,
        should_stop=lambda: False,
        members_to=order.into,
    )
    return outcome.extraction.members
