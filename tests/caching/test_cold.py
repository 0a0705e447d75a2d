"""A cold key over processes, in Redis: one computation, also when who holds its lock is killed."""

import multiprocessing
import os
import signal
import time
from typing import Any

import pytest
import redis

from apps.caching import cache as caching
from apps.caching.invalidation import invalidate
from tests.caching.works import Work, at_once
from tests.processes import eventually
from tests.servers import Valkey

pytestmark = [pytest.mark.once]

PROCESSES, THREADS = 4, 12
COMPUTE_SECONDS = 1.0
WORST = 1.6
"""How long anybody waits, in computations."""

_context: Any = multiprocessing.get_context("fork")


class Shared(Work):
    """Counts over all processes."""

    def __init__(self, seconds: float) -> None:
        super().__init__("v", seconds=seconds)
        self.all = _context.Value("i", 0)

    def __call__(self, *_: Any) -> Any:
        with self.all.get_lock():
            self.all.value += 1
        return super().__call__()


def run(kept: Any, barrier: Any, told: Any) -> None:
    barrier.wait(30)
    told.put(at_once(kept, THREADS))


@pytest.mark.alone  # it measures
def test_a_cold_key_is_computed_once_for_all_processes() -> None:
    work = Shared(COMPUTE_SECONDS)
    kept = work.kept()
    barrier, told = _context.Barrier(PROCESSES), _context.Queue()
    processes = [_context.Process(target=run, args=(kept, barrier, told)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    results = [told.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(10)
    assert [value for got, _ in results for value in got] == ["v"] * PROCESSES * THREADS
    assert work.all.value == 1
    assert max(wait for _, waits in results for wait in waits) <= WORST * COMPUTE_SECONDS


@pytest.mark.alone  # it measures
def test_nobody_waits_much_longer_than_a_computation_takes(kept_in: str) -> None:
    work = Work("v", seconds=COMPUTE_SECONDS)
    got, waits = at_once(work.kept(), 50)
    assert (len(got), work.times) == (50, 1)
    assert max(waits) <= WORST * COMPUTE_SECONDS


@pytest.mark.alone  # it measures
def test_of_a_holder_that_is_killed_the_next_one_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "WAIT_SECONDS", caching.WAIT_SECONDS / caching.LOCK_SECONDS)
    monkeypatch.setattr(caching, "LOCK_SECONDS", 1.0)
    work = Shared(0.0)
    kept = work.kept()
    work.seconds = 60.0
    holder = _context.Process(target=kept)
    holder.start()
    eventually(lambda: work.all.value == 1)
    began = time.monotonic()
    os.kill(holder.pid, signal.SIGKILL)
    holder.join(10)
    work.seconds = 0.5  # none of those who wait for the lock is out of patience meanwhile
    got, _ = at_once(kept, 5)
    assert got == ["v"] * 5
    assert work.all.value == 2
    assert time.monotonic() - began < 2.5


def seen(kept: Any, started: Any, go_on: Any, told: Any) -> None:
    told.put(kept())
    started.set()
    assert go_on.wait(30)
    told.put(kept())


@pytest.mark.django_db(transaction=True)
def test_what_one_process_invalidates_another_sees_at_its_next_request(valkey: Valkey) -> None:
    value = _context.Value("i", 1)
    work = Work()

    def now(*_: Any) -> int:
        return int(value.value)

    work.__class__ = type("Now", (Work,), {"__call__": now})
    kept = work.kept()
    started, go_on, told = _context.Event(), _context.Event(), _context.Queue()
    other = _context.Process(target=seen, args=(kept, started, go_on, told))
    other.start()
    assert started.wait(30)
    value.value = 2
    assert kept() == 1  # of the other process
    invalidate("thing:1")
    go_on.set()
    assert [told.get(timeout=30), told.get(timeout=30)] == [1, 2]
    other.join(10)
    with redis.Redis.from_url(valkey.url) as client:
        assert all(client.ttl(key) > 0 for key in client.scan_iter())
