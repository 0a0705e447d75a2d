"""How a value is found or computed.

What is fresh is served. What is stale is served too, and computed anew in the background, once.
What is not there is computed once, however many ask, in threads, processes and machines: one holds
a lock and the others wait for its value, but not for ever. The stamps of the tags are read before a
computation begins and stored with what it came to: an invalidation meanwhile is never lost.
"""

import logging
import random
import threading
import time
import zlib
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple

from django.db import connections, transaction

from apps.caching import envelope
from apps.caching.envelope import Age, Entry, Times
from apps.caching.flights import Flights, wait
from apps.caching.keys import digest, lock_key
from apps.caching.kinds import Kind
from apps.caching.statistics import SAVED, flusher
from apps.caching.stores import store
from apps.core import deadline
from apps.core.errors import DocmillError

logger = logging.getLogger(__name__)

HIT, MISS, STALE, BYPASS = "HIT", "MISS", "STALE", "BYPASS"
LOCK_SECONDS = 10.0
"""After which a computation whose process died is begun by another."""
WAIT_SECONDS = 2 * LOCK_SECONDS
"""How long anybody waits for somebody else's computation, before they compute by themselves: until
the lock of one who died is over, and then for who has it next."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.005, 0.05
JITTER = 0.1
"""By how much of its time a value may be stale earlier: not all at the same moment."""
REFRESHES = 4
"""Computations in the background of a process at once; others wait for the next request."""
AGAIN_SECONDS = 1.0
"""How soon a process tries again to refresh what another one is refreshing."""
ERROR_PAUSE_SECONDS = 5.0
"""How soon a computation that failed is tried again where there is a value to serve."""
MAX_REMEMBERED = 10_000
NOTHING: Any = object()


class Call(NamedTuple):
    """A value that is wanted: its key, the keys of its tags, and what computes it."""

    kind: Kind
    key: str
    tags: tuple[str, ...]
    work: Callable[[], Any]


class Outcome(NamedTuple):
    """A value, and how it was come by. `digest` is the same for the same value of
    the same call."""

    call: Call
    status: str
    entry: Entry
    original: Any = NOTHING

    @property
    def value(self) -> Any:
        """As it is stored and read again, so that everybody gets the same and a copy of their own:
        of a tuple that is a list. What was damaged is computed anew."""
        if self.original is not NOTHING:
            return self.original
        try:
            return self.entry.value
        except (ValueError, zlib.error):
            cache.forget(self.call)
            return cache.bypass(self.call).value

    @property
    def digest(self) -> bytes:
        return self.entry.digest


class Found(NamedTuple):
    """What is in the store: `age` is GONE where there is no entry, or none to be served."""

    age: Age
    entry: Entry | None
    stamps: bytes | None


class Cache:
    """Of this process; what it keeps is in `store()`."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._flights = Flights[Outcome]()
        self._slots = threading.BoundedSemaphore(REFRESHES)
        self._tried: dict[str, float] = {}
        self._failing: set[str] = set()
        self._lock = threading.Lock()

    def get(self, call: Call) -> Outcome:
        """The value. Raises what computing it raises, where there is none to serve instead."""
        found = self._look(call)
        if found.age is Age.FRESH and found.entry:
            return _told(call, HIT, found.entry, "hit")
        if found.age is Age.STALE and found.entry:
            self._refresh(call)
            return _told(call, STALE, found.entry, "stale")
        if transaction.get_connection().in_atomic_block:
            # It may read what is not committed, or what was before an invalidation: not for others.
            return self.bypass(call)
        return self._join(call, found)

    def bypass(self, call: Call) -> Outcome:
        """The value, computed without asking or telling the store anything."""
        logger.debug("cache %s %s", BYPASS, call.kind.name)
        return self._worked(call, b"", BYPASS)

    def forget(self, call: Call) -> None:
        """What is stored of the value is gone."""
        store().delete(call.key)

    def _look(self, call: Call) -> Found:
        """One round trip."""
        read = store().read((call.key, *call.tags))
        stamps = envelope.joined([read.get(tag) for tag in call.tags])
        entry = envelope.unpack(read.get(call.key), call.key, digest)
        age = entry.age(stamps, self.clock()) if entry else Age.GONE
        return Found(age, entry, stamps)

    def _stamps(self, call: Call, found: Found) -> bytes:
        """Those that are in force; of what is asked for the first time they are made."""
        if found.stamps is not None:
            return found.stamps
        made = store().stamps(call.tags)
        return b"".join(made[tag] for tag in call.tags)

    def _join(self, call: Call, found: Found) -> Outcome:
        """Computes the value, or waits for who is computing it."""
        stamps = self._stamps(call, found)
        name = lock_key(call.key, stamps)
        with self._flights.join(name) as (flight, leads):
            if leads:
                try:
                    outcome = self._lead(call, name, stamps)
                except Exception:
                    if deadline.is_over():  # others came later, and have time
                        flight.cancel()
                    raise
                flight.set_result(outcome)
                return outcome
            waited = wait(flight, deadline.bounded(WAIT_SECONDS))
        if waited is None:
            found = self._look(call)
            return _found(call, found, waited=True) or self._computed(call, found)
        return _told(call, MISS, waited.entry, "wait", waited.original)

    def _lead(self, call: Call, name: str, stamps: bytes) -> Outcome:
        """Computes the value, unless another process does."""
        token = envelope.new_stamp()
        until = time.monotonic() + deadline.bounded(WAIT_SECONDS)
        pause = FIRST_PAUSE_SECONDS
        waited = False
        while not (is_ours := store().hold(name, token, LOCK_SECONDS)):
            if time.monotonic() > until:
                break
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  (not a secret)
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
            waited = True
            if found := _found(call, self._look(call), waited=True):
                return found
        try:
            # Who had the lock before may have ended since this one looked.
            seen = self._look(call)
            return _found(call, seen, waited=waited) or self._computed(call, seen)
        finally:
            if is_ours:
                store().release(name, token)

    def _computed(self, call: Call, found: Found) -> Outcome:
        """The value, computed and stored; where that fails, one that is late already."""
        stamps = self._stamps(call, found)
        try:
            outcome = self._worked(call, stamps, MISS)
        except Exception as error:
            flusher.count(call.kind.name, error=1)
            if found.age is not Age.LATE or found.entry is None:
                raise
            if is_answer(error):
                self.forget(call)
                raise
            self._note_failure(call)
            self._put_off(call, found.entry)
            return _told(call, STALE, found.entry, "stale")
        self._failing.discard(call.key)
        self._keep(call, outcome.entry)
        return _told(call, MISS, outcome.entry, "miss", outcome.original)

    def _worked(self, call: Call, stamps: bytes, status: str) -> Outcome:
        began = time.perf_counter()
        value = call.work()
        took = time.perf_counter() - began
        now, kind = self.clock(), call.kind
        fresh = now + kind.ttl * (1 - JITTER * random.random())  # noqa: S311  (not a secret)
        times = Times(fresh, now + kind.ttl + kind.grace, now + kind.kept)
        entry = envelope.wrap(
            value, key=call.key, stamps=stamps, times=times, took=took, digest=digest
        )
        is_final = type(value) in (str, bytes)
        return Outcome(call, status, entry, value if is_final else NOTHING)

    def _keep(self, call: Call, entry: Entry) -> None:
        if len(entry.body) > envelope.MAX_STORED_BYTES:
            return
        store().write(call.key, envelope.pack(entry), entry.times.kept - self.clock())

    def _put_off(self, call: Call, entry: Entry) -> None:
        """Serves what is late as stale for a moment, so that not each request tries in vain."""
        stale = min(self.clock() + ERROR_PAUSE_SECONDS, entry.times.kept)
        times = entry.times._replace(stale=stale)
        packed = envelope.pack(entry._replace(times=times))
        store().write(call.key, packed, max(entry.times.kept - self.clock(), 0.001))

    def _refresh(self, call: Call) -> None:
        """Has the value computed in the background, unless that is being done."""
        now = time.monotonic()
        with self._lock:
            if self._tried.get(call.key, 0.0) > now or not self._slots.acquire(blocking=False):
                return
            if len(self._tried) >= MAX_REMEMBERED:
                self._tried.clear()
            self._tried[call.key] = now + AGAIN_SECONDS
        thread = threading.Thread(target=self._run, args=(call,), name="cache-refresh", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine gives no more of them: what is stale is served on
            self._slots.release()

    def _run(self, call: Call) -> None:
        try:
            self._refreshed(call)
        finally:
            connections.close_all()
            self._slots.release()

    def _refreshed(self, call: Call) -> None:
        found = self._look(call)
        stamps = self._stamps(call, found)
        name, token = lock_key(call.key, stamps), envelope.new_stamp()
        if not store().hold(name, token, LOCK_SECONDS):
            return
        try:
            # After the lock: who had it before may have refreshed the value.
            found = self._look(call)
            if found.age is not Age.FRESH:
                outcome = self._worked(call, self._stamps(call, found), STALE)
                self._keep(call, outcome.entry)
        except Exception as error:  # noqa: BLE001 (whatever it is, what is stale is served on)
            self._failed(call, error)
        else:
            self._failing.discard(call.key)
            with self._lock:
                self._tried.pop(call.key, None)
        finally:
            store().release(name, token)

    def _failed(self, call: Call, error: Exception) -> None:
        flusher.count(call.kind.name, error=1)
        if is_answer(error):
            self.forget(call)
            return
        with self._lock:
            self._tried[call.key] = time.monotonic() + ERROR_PAUSE_SECONDS
        self._note_failure(call)

    def _note_failure(self, call: Call) -> None:
        """Once, until it goes well again."""
        if call.key in self._failing:
            return
        if len(self._failing) >= MAX_REMEMBERED:
            self._failing.clear()
        self._failing.add(call.key)
        logger.exception("cache: a value of the kind %s cannot be computed", call.kind.name)


def is_answer(error: Exception) -> bool:
    """Whether it says that there is no such value, rather than that computing it went wrong."""
    return isinstance(error, DocmillError) and error.status < HTTPStatus.INTERNAL_SERVER_ERROR


def _found(call: Call, found: Found, *, waited: bool) -> Outcome | None:
    """What somebody else computed meanwhile; None where there is nothing to be served. Whoever was
    served an old value because a computation failed did so too."""
    if found.entry is None or found.age not in (Age.FRESH, Age.STALE):
        return None
    is_stale = found.age is Age.STALE
    counted = "wait" if waited else "stale" if is_stale else "hit"
    return _told(call, STALE if is_stale else MISS if waited else HIT, found.entry, counted)


def _told(call: Call, status: str, entry: Entry, counted: str, original: Any = NOTHING) -> Outcome:
    saved = 0 if counted == "miss" else int(entry.took * 1000)
    flusher.count(call.kind.name, **{counted: 1, SAVED: saved} if saved else {counted: 1})
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug("cache %s %s %s", counted.upper(), call.kind.name, call.key[-8:])
    return Outcome(call, status, entry, original)


cache = Cache()
