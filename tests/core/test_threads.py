"""Threads that nobody waits for at the end."""

import subprocess
import sys
import threading
from concurrent.futures import wait

import pytest

from apps.core.threads import Threads
from tests.processes import BASE_DIR

pytestmark = pytest.mark.once

STUCK = """
import threading
from apps.core.threads import Threads
began = threading.Event()
Threads(2, "stuck").submit(lambda: (began.set(), threading.Event().wait()))
began.wait()
print("done")
"""


def test_so_many_work_at_a_time() -> None:
    threads, seen, meet = Threads(3, "three"), set(), threading.Barrier(3, timeout=5)

    def work(number: int) -> int:
        meet.wait()
        seen.add(threading.current_thread().name)
        return number

    futures = [threads.submit(work, number) for number in range(9)]
    wait(futures, timeout=5)
    assert [future.result() for future in futures] == list(range(9))
    assert seen == {"three-0", "three-1", "three-2"}


def test_an_error_is_told_to_who_waits_and_hurts_nobody_else() -> None:
    threads = Threads(1, "one")
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 / 0).result(5)
    assert threads.submit(lambda: 2).result(5) == 2


def test_what_was_given_up_before_its_turn_is_not_done() -> None:
    threads, gate, done = Threads(1, "one"), threading.Event(), []
    threads.submit(gate.wait)
    second = threads.submit(done.append, 2)
    assert second.cancel()
    gate.set()
    threads.submit(done.append, 3).result(5)
    assert done == [3]


def test_a_process_ends_though_one_of_them_waits_for_ever() -> None:
    script = [sys.executable, "-c", STUCK]
    ended = subprocess.run(script, cwd=BASE_DIR, capture_output=True, timeout=10, check=True)
    assert ended.stdout == b"done\n"
