"""Which test runs in which pass, which ones together, which one alone, and that none is left out
in silence."""

import fcntl
import gc
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.servers import scratch_key

MARKERS = (
    "postgres: proves what only PostgreSQL does; runs in its pass only",
    "once: the same on every database; runs in the SQLite pass only",
    "tools: starts programs that few machines have; runs in `make test-deploy` only",
    "alone: needs the machine to itself; no other test of this run goes on meanwhile",
)
ALLOWED_SKIP = "needs "
"""A test may be skipped for what the machine lacks, and its reason then says so."""

TOGETHER = (
    "tests/deploy/test_rehearsal.py",
    "tests/faults/test_up.py",
    "tests/fuzz/test_fuzz.py",
    "tests/jobs/test_streams.py",
    "tests/jobs/test_web_server.py",
)
"""Files whose tests share something dear: one process of the run has them all, and begins with it.
Told by the path, because marks of xdist_group have no effect with pytest 9.2 and xdist 3.8."""

refused_key = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tools", action="store_true", help="run what is marked tools, too")
    parser.addoption(
        "--fail-on-skip",
        action="store_true",
        help=f'fail when a test is skipped and its reason does not begin with "{ALLOWED_SKIP}"',
    )


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    config.stash[refused_key] = []
    if "TEST_TURNS" not in os.environ:  # workers inherit it
        config.add_cleanup(lambda: os.environ.pop("TEST_TURNS", None))
        os.environ["TEST_TURNS"] = str(config.stash[scratch_key])
    config.pluginmanager.register(SkipGuard(config), "skip-guard")


class Scheduling(LoadScopeScheduling):
    """Test by test, but for the files that stay together."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return path if path in TOGETHER else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Iterator[object]:
    """What is imported and collected lives until the end: it is not looked through for garbage,
    neither while it comes nor again and again afterwards."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what belongs to the other pass; pytest counts it as deselected. What needs the
    machine to itself comes last: it would have the other processes wait for each other's end."""
    other = "postgres" if config.getoption("database") == "sqlite" else "once"
    left_out = {other} if config.getoption("tools") else {other, "tools"}
    deselected = [item for item in items if any(map(item.get_closest_marker, left_out))]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if item not in deselected]
    items.sort(key=lambda item: item.get_closest_marker("alone") is not None)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Tests of parallel processes share the machine; one marked `alone` waits until it is free."""
    with turn(Path(os.environ["TEST_TURNS"]), alone=bool(item.get_closest_marker("alone"))):
        return (yield)


@contextmanager
def turn(directory: Path, *, alone: bool) -> Iterator[None]:
    """Holds a readers-writer lock between processes. The gate keeps writers from starving."""
    with ExitStack() as stack:
        machine = stack.enter_context((directory / "machine.lock").open("w"))
        with (directory / "gate.lock").open("w") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(machine, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


class SkipGuard:
    """Remembers skips without an allowed reason, and fails the run for them if it is asked to."""

    def __init__(self, config: pytest.Config) -> None:
        self.refused = config.stash[refused_key]
        self.is_asked = config.getoption("fail_on_skip")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._look_at(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._look_at(report)

    def _look_at(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else "")
            if not reason.removeprefix("Skipped: ").startswith(ALLOWED_SKIP):
                self.refused.append(f"{report.nodeid}: {reason or 'no reason'}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.is_asked and self.refused and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.is_asked and self.refused:
            terminalreporter.section("skipped, and not for what this machine lacks")
            for line in self.refused:
                terminalreporter.line(line)
