"""Computations under way in this process: whoever wants the same waits for the one there is."""

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as NotInTime
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    def __init__(self) -> None:
        self._under_way: dict[str, Future[T]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def join(self, name: str) -> Iterator[tuple["Future[T]", bool]]:
        """The computation `name`, and whether the caller leads it: who does sets its result, or
        raises what the others get as well, unless it has cancelled it."""
        with self._lock:
            flight = self._under_way.get(name)
            leads = flight is None
            flight = self._under_way.setdefault(name, Future())
        if not leads:
            yield flight, False
            return
        try:
            yield flight, True
        except Exception as error:
            if not flight.cancelled():
                flight.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._under_way[name]
            flight.cancel()  # where it ended without either, the others see for themselves


def wait(flight: "Future[T]", seconds: float) -> T | None:
    """What the one who leads it came to; None when it does not come in time. Raises what that one
    raised."""
    try:
        return flight.result(seconds)
    except CancelledError:
        return None
    except NotInTime:
        if flight.done():  # it was the computation that raised it
            raise
        return None
