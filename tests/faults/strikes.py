"""What strikes a process that stands at a point: each is a context that strikes, then mends."""

import os
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass

from django.db import connection

from tests.faults.stage import Stage, is_ours
from tests.processes import eventually
from tests.queue.test_processes import children_of, freeze, signal_all

LONGER_THAN_A_LEASE = 2.6
FULL_SECONDS = 1.0


@contextmanager
def kill_child(stage: Stage) -> Iterator[None]:
    """SIGKILL to the parsing child of the slot that is held, busy or warm."""
    [child] = children_of(stage.reached)
    os.kill(child, signal.SIGKILL)
    yield


@contextmanager
def kill_slot(stage: Stage) -> Iterator[None]:
    """SIGKILL to the pool process that is held, as by the kernel when memory runs out. Its parsing
    child must go at once by itself, in the middle of its work."""
    with _without(children_of(stage.reached)):
        os.kill(stage.reached, signal.SIGKILL)
    yield


@contextmanager
def kill_all(stage: Stage) -> Iterator[None]:
    """SIGKILL to all that was started, but not to parsing children: these must go by themselves."""
    with _without(children_of(stage.reached)):
        stage.struck.kill_with_slots()
    yield


@contextmanager
def _without(children: list[int]) -> Iterator[None]:
    """What is done takes the children along sooner than they could have finished."""
    yield
    eventually(lambda: not any(is_ours(pid) for pid in children), seconds=1.5)


@contextmanager
def stop(stage: Stage) -> Iterator[None]:
    """SIGSTOP to all of them for longer than the lease, then SIGCONT."""
    pids = [stage.struck.pid, *stage.struck.tree()]
    if stage.is_locked:
        signal_all(pids, signal.SIGSTOP)
    else:
        freeze(pids)
    yield
    for pid in pids:
        with suppress(ProcessLookupError):  # a child was killed while its slot stood still
            os.kill(pid, signal.SIGCONT)


@contextmanager
def database_cut(stage: Stage) -> Iterator[None]:
    """All connections but that of the test are ended by the server (pg_terminate_backend)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    yield


@contextmanager
def database_restart(stage: Stage) -> Iterator[None]:
    """PostgreSQL is stopped as by a crash (immediate), stays away for longer than a lease, and
    comes back through its recovery."""
    assert stage.postgres is not None
    connection.close()
    stage.postgres.close()
    stage.go()
    time.sleep(LONGER_THAN_A_LEASE)
    stage.postgres.run()
    yield


@contextmanager
def database_locked(stage: Stage) -> Iterator[None]:
    """SQLite's counterpart: somebody else holds the lock to write for longer than a lease."""
    with closing(sqlite3.connect(str(connection.settings_dict["NAME"]), timeout=10)) as other:
        other.execute("BEGIN EXCLUSIVE")
        stage.go()
        time.sleep(LONGER_THAN_A_LEASE)
        other.rollback()
    yield


@contextmanager
def redis_killed(stage: Stage) -> Iterator[None]:
    """SIGKILL to it, and it stays away until other work has been done."""
    stage.valkey.kill()
    yield
    stage.valkey.start()


@contextmanager
def redis_frozen(stage: Stage) -> Iterator[None]:
    """SIGSTOP: it takes connections and answers nobody."""
    stage.valkey.freeze()
    yield
    stage.valkey.thaw()


@contextmanager
def redis_wiped(stage: Stage) -> Iterator[None]:
    """FLUSHALL: every doorbell that waits is lost."""
    stage.valkey.flushall()
    yield


@contextmanager
def redis_half_open(stage: Stage) -> Iterator[None]:
    """The network to it goes silent: connections stay open, nothing comes through."""
    stage.proxy.cut()
    yield
    stage.proxy.mend()


@contextmanager
def disk_full(stage: Stage) -> Iterator[None]:
    """No file of the worker and its slots can grow: RLIMIT_FSIZE of 0, set from outside.

    The kernel refuses every write to a file (logs, results, SQLite's own too) with EFBIG, as it
    does with ENOSPC on a full disk, which would need root to make. Directories can still change.
    """
    for pid in stage.struck.with_slots():
        _limit_files(pid, 0)
    stage.go()
    time.sleep(FULL_SECONDS)
    for pid in stage.struck.with_slots():
        _limit_files(pid, None)
    yield


def _limit_files(pid: int, size: int | None) -> None:
    try:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        soft = hard if size is None else size
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
    except ProcessLookupError:
        pass  # it has ended meanwhile


@dataclass(frozen=True)
class Fault:
    """`costs`: the classes of failure that runs may end with for it; no other is tolerated.

    Interrupted is what the stand-in for a broker that is back had not finished within its grace.
    """

    strike: Callable[[Stage], AbstractContextManager[None]]
    costs: frozenset[str]


def _fault(strike: Callable[[Stage], AbstractContextManager[None]], *costs: str) -> Fault:
    return Fault(strike, frozenset(costs))


FAULTS = {
    "kill_child": _fault(kill_child, "crash"),
    "kill_slot": _fault(kill_slot, "lost"),
    "kill_all": _fault(kill_all, "lost"),
    "stop": _fault(stop, "lost"),
    "database_cut": _fault(database_cut, "infra"),
    "database_restart": _fault(database_restart, "infra", "lost"),
    "database_locked": _fault(database_locked, "infra", "lost"),
    "redis_killed": _fault(redis_killed, "interrupted"),
    "redis_frozen": _fault(redis_frozen, "interrupted"),
    "redis_wiped": _fault(redis_wiped),
    "redis_half_open": _fault(redis_half_open, "interrupted"),
    "disk_full": _fault(disk_full, "infra", "lost"),
}
