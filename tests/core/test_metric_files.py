"""Files of counts: of processes that live, that were killed, and where nothing can be written."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apps.core import metric_files, metrics
from apps.core.metric_files import Value, totals
from tests.processes import BASE_DIR, launch

pytestmark = pytest.mark.once


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """This process writes there, and afterwards where it did before."""
    before, values = metric_files._state.folder, list(metric_files._state.values)
    metric_files.write_into(tmp_path / "metrics")
    yield tmp_path / "metrics"
    metric_files.write_into(before)
    metric_files._state.values[:] = values


def value(name: str, kind: str = "counter", **labels: str) -> Value:
    return Value(kind, name, name, labels.keys(), labels.values(), "about")


def number(folder: Path, name: str, kind: str = "counter") -> float:
    """Over all processes and labels."""
    found = totals(folder).items()
    return sum(each for (kind_, key), each in found if (kind_, json.loads(key)[0]) == (kind, name))


def in_child(work: Callable[[], None]) -> int:
    """Runs `work` in a forked process, which is then killed; its wait status."""
    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


def test_what_killed_processes_counted_stays_and_their_files_do_not(folder: Path) -> None:
    mine = value("a_total")
    mine.inc(3)
    for _ in range(50):
        assert in_child(lambda: mine.inc(2)) == signal.SIGKILL
    assert number(folder, "a_total") == 3 + 50 * 2
    assert number(folder, "a_total") == 3 + 50 * 2  # added up once
    assert len(list(folder.iterdir())) <= 4  # this process's, the sum, the folder's lock


def test_a_process_that_begins_adds_up_what_others_left(folder: Path) -> None:
    """So that the folder does not grow where nobody asks for metrics."""
    mine = value("a_total")
    for _ in range(20):
        in_child(lambda: mine.inc(1))
    assert len(list(folder.glob("counter_*"))) <= 2
    assert number(folder, "a_total") == 20


def test_a_gauge_ends_with_its_process(folder: Path) -> None:
    mine = value("open", "gauge")
    mine.set(2)
    in_child(lambda: mine.set(5))
    assert number(folder, "open", "gauge") == 2


def test_whoever_is_killed_while_adding_up_counts_nothing_twice(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = value("a_total")
    mine.inc(1)
    for _ in range(3):
        in_child(lambda: mine.inc(1))

    def killed_before_removing() -> None:
        monkeypatch.setattr(Path, "unlink", lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
        totals(folder)

    assert in_child(killed_before_removing) == signal.SIGKILL
    assert json.loads((folder / "ended.json").read_text())["added"]
    assert list(folder.glob("counter_*")) != []
    assert number(folder, "a_total") == 4
    assert number(folder, "a_total") == 4


COUNTING = """
import sys, time
from pathlib import Path
from apps.core import metric_files
metric_files.write_into(Path(sys.argv[1]))
values = [metric_files.Value("counter", "a", "a_total", "n", str(n), "") for n in range(9)]
for turn in range(int(sys.argv[2])):
    values[turn % 9].inc(1)
    if turn == 0: print("began", flush=True)
"""


def test_readers_and_those_who_begin_and_end_at_once_lose_nothing(folder: Path) -> None:
    """While processes count, begin and end, somebody reads: never less than before, in the end all
    of it."""
    running: list[subprocess.Popen[bytes]] = []
    log = folder.parent / "counting.log"
    seen, began = 0.0, 0
    while began < 12 or any(each.poll() is None for each in running):
        if began < 12 and sum(each.poll() is None for each in running) < 4:
            arguments = [sys.executable, "-c", COUNTING, str(folder), "500"]
            running.append(launch(arguments, log=log, env=os.environ | {"PYTHONPATH": BASE_DIR}))
            began += 1
        now = number(folder, "a_total")
        assert now >= seen
        seen = now
        time.sleep(0.01)
    assert [each.returncode for each in running] == [0] * 12, log.read_text()
    assert number(folder, "a_total") == 12 * 500


def test_where_nothing_can_be_written_work_goes_on_and_nothing_is_lost(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file stands where the folder should be")
    mine = value("a_total")
    for _ in range(5):
        mine.inc(1)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert totals(folder) == {}
    folder.unlink()
    monkeypatch.setattr(metric_files._state, "_again_at", 0.0)
    value("b_total").inc(1)
    assert (number(folder, "a_total"), number(folder, "b_total")) == (5, 1)


def test_a_full_disk_ends_no_process(folder: Path) -> None:
    """A write into a mapped file for which the disk has no room would be a SIGBUS."""
    mount = folder.parent / "small"
    mount.mkdir()
    tried = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(mount)], check=False
    )
    if tried.returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        metric_files.write_into(mount / "metrics")
        first = value("first_total")
        first.inc(1)
        (mount / "fill").write_bytes(bytes(160 * 1024))
        many = [value("many_total", text="x" * 200, n=str(n)) for n in range(2000)]
        for each in many:
            each.inc(1)
        first.inc(1)
        assert number(mount / "metrics", "first_total") == 2
        told = number(mount / "metrics", "many_total")
        assert 0 < told < 2000
        (mount / "fill").unlink()
        subprocess.run(["mount", "-o", "remount,size=8m", str(mount)], check=True)
        metric_files._state._again_at = 0.0
        value("later_total").inc(1)
        assert number(mount / "metrics", "many_total") == 2000
    finally:
        metric_files.write_into(None)
        subprocess.run(["umount", "-l", str(mount)], check=True)


@pytest.mark.parametrize("cut", [0, 6, 100])
def test_a_broken_file_costs_what_is_in_it(folder: Path, cut: int) -> None:
    mine = value("a_total")
    mine.inc(1)
    in_child(lambda: mine.inc(1))
    broken = folder / "counter_1-abcdef.db"
    broken.write_bytes(struct.pack("i", 5000)[:cut] + b"\xff" * cut)
    (folder / "ended.json").write_text("{" * cut)
    assert number(folder, "a_total") in (1, 2)
    assert not broken.exists()


def test_somebody_who_hangs_while_adding_up_is_waited_for_a_moment(folder: Path) -> None:
    value("a_total").inc(1)
    with metric_files._alone(folder, seconds=0.0), pytest.raises(metric_files.Busy):
        totals(folder)


def test_what_is_not_named_any_more_or_otherwise_is_not_told() -> None:
    """After an upgrade, of what an earlier version left."""
    key = '["docmill_jobs_submitted_total", {"operation": "extract"}]'
    other = '["docmill_jobs_submitted_total", {"colour": "red"}]'
    told = metrics.families({("counter", key): 2.0, ("counter", other): 5.0, ("gauge", key): 7.0})
    samples = [each for family in told for each in family.samples if "jobs_sub" in each.name]
    assert [(each.labels, each.value) for each in samples] == [({"operation": "extract"}, 2.0)]


def test_a_histogram_tells_how_many_were_within_each_bound(folder: Path) -> None:
    seconds = metrics.QUERY_SECONDS.labels("select", "other")
    for each in (0.001, 0.2, 0.3, 70.0):
        seconds.observe(each)
    (family,) = [each for each in metrics.families(totals(folder)) if "query" in each.name]
    told = {each.labels.get("le", each.name[-5:]): each.value for each in family.samples}
    within = {"0.005": 1, "0.05": 1, "0.5": 3, "5.0": 3, "+Inf": 4}
    assert told == within | {"count": 4, "s_sum": 70.501}


def test_a_call_to_a_service_is_counted_once_with_what_came_of_it(folder: Path) -> None:
    with metrics.external_call("mail"):
        pass
    with pytest.raises(OSError, match="away"), metrics.external_call("mail"):
        raise OSError("away")
    with metrics.external_call("mail") as call:
        call.outcome = "missing"
    counted = {
        outcome: sum(each.get() for each in metrics.CALL_SECONDS.labels("mail", outcome)._buckets)
        for outcome in ("ok", "failed", "missing")
    }
    assert counted == {"ok": 1, "failed": 1, "missing": 1}
