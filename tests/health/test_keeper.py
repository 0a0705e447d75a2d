"""The keeper with real processes, as `up` uses it: over a pipe."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apps.health import keeper
from tests.processes import eventually

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: /proc and prctl"),
]

FAMILY = """
import os, signal, sys, time
{ignoring}
for n in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)   # what follows is an orphan in a session of its own
        break
open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()
time.sleep(60)
"""
HALF_ENDED = """
import ctypes, os, subprocess, sys, threading, time
child = subprocess.Popen(["sleep", "60"], start_new_session=True)
threading.Thread(target=time.sleep, args=(60,)).start()
print(child.pid, flush=True)
exit_thread = {"x86_64": 60, "aarch64": 93}[os.uname().machine]
ctypes.CDLL(None).syscall(exit_thread, 0)
"""
IGNORING = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
Keep = Callable[..., subprocess.Popen[bytes]]
Family = Callable[..., tuple[subprocess.Popen[bytes], list[int]]]


@pytest.fixture
def keep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keep]:
    started: list[subprocess.Popen[bytes]] = []
    output = tmp_path_factory.mktemp("keeper") / "output"

    def start(*command: str) -> subprocess.Popen[bytes]:
        with output.open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", keeper.__file__, *command],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        close_pipe(process)
        process.wait(10)


def close_pipe(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.close()


@pytest.fixture
def family(keep: Keep, tmp_path: Path) -> Family:
    """A command and two orphaned descendants that left its session."""

    def start(ignoring: str = "") -> tuple[subprocess.Popen[bytes], list[int]]:
        process = keep(sys.executable, "-c", FAMILY.format(ignoring=ignoring), str(tmp_path))
        eventually(lambda: len(list(tmp_path.iterdir())) == 3)
        return process, [int(entry.name) for entry in tmp_path.iterdir()]

    return start


def are_gone(pids: list[int]) -> bool:
    return not set(pids) & set(keeper.parents())


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)])
def test_exit_code_is_that_of_the_command(keep: Keep, script: str, code: int) -> None:
    assert keep("sh", "-c", script).wait(10) == code


def test_a_command_that_does_not_exist_has_the_exit_code_of_a_shell(keep: Keep) -> None:
    assert keep("/no/such/program").wait(10) == 127


def test_closing_the_pipe_ends_all_of_it(family: Family) -> None:
    process, pids = family()
    close_pipe(process)
    process.wait(5)
    assert are_gone(pids)


def test_who_ignores_to_be_asked_is_killed(family: Family) -> None:
    process, pids = family(IGNORING)
    started = time.monotonic()
    close_pipe(process)
    process.wait(5)
    assert time.monotonic() - started >= keeper.SECONDS_AFTER_TERM * 0.9
    assert are_gone(pids)


def test_sigterm_goes_to_the_command_and_orphans_follow_it(family: Family) -> None:
    process, pids = family()
    process.terminate()
    assert process.wait(5) == 128 + signal.SIGTERM
    assert are_gone(pids)


def test_a_command_that_is_killed_leaves_no_orphan(family: Family) -> None:
    process, pids = family()
    [command] = [pid for pid, parent in keeper.parents().items() if _is_command(pid, process.pid)]
    assert command in pids
    os.kill(command, signal.SIGKILL)
    assert process.wait(5) == 128 + signal.SIGKILL
    assert are_gone(pids)


def _is_command(pid: int, keeper_pid: int) -> bool:
    """The command leads its session and is a child of the keeper; orphans lead none."""
    try:
        return os.getsid(pid) == pid and keeper.parents().get(pid) == keeper_pid
    except ProcessLookupError:
        return False


def test_the_spared_and_what_they_started_live(keep: Keep) -> None:
    tree = {pid: os.getpid() for pid in (10**7, 10**7 + 1)} | {10**7 + 2: 10**7}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper, "parents", lambda: tree)
        assert keeper.descendants(os.getpid(), spare={10**7}) == [10**7 + 1]
        assert sorted(keeper.descendants(os.getpid())) == [10**7, 10**7 + 1, 10**7 + 2]


def test_children_of_a_process_whose_threads_are_still_ending_are_found() -> None:
    """Else a keeper or supervisor that looks in that moment leaves them behind."""
    with subprocess.Popen(
        [sys.executable, "-c", HALF_ENDED], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        child = int(process.stdout.readline())
        try:
            eventually(lambda: ") Z" in Path(f"/proc/{process.pid}/stat").read_text())
            assert {process.pid, child} <= set(keeper.descendants(os.getpid()))
        finally:
            os.kill(child, signal.SIGKILL)
            process.kill()
