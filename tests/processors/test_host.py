"""What a document can do to its host, tried with real children."""

import itertools
import json
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from apps.processors import host as host_module
from apps.processors import spawn
from apps.processors.errors import (
    BadDocument,
    ChildCrashed,
    OutOfResources,
    ProcessorBug,
    Stopped,
    Unavailable,
)
from apps.processors.host import ProcessorHost
from apps.processors.protocol import Options
from tests.processes import eventually
from tests.processors.conftest import BUDGET, FAULTY, Do
from tests.processors.watching import is_running

pytestmark = pytest.mark.once

MEGABYTE = 1024**2


def test_a_document_comes_back_with_what_it_cost(do: Do) -> None:
    outcome = do("echo hello")
    assert outcome.extraction.text == "hello"
    assert outcome.extraction.engine == "faulty 1"
    assert 5 * MEGABYTE < outcome.peak_rss_bytes < BUDGET.memory_bytes
    assert 0 <= outcome.cpu_seconds < 5


def test_one_document_is_not_charged_for_the_one_before(do: Do, host: ProcessorHost) -> None:
    large = do("use_megabytes 150")
    first = host.pid
    small = do("echo small")
    assert host.pid == first
    assert large.peak_rss_bytes > 150 * MEGABYTE
    assert small.peak_rss_bytes < large.peak_rss_bytes - 100 * MEGABYTE


def test_progress_arrives(do: Do) -> None:
    seen: list[tuple[int, int, str]] = []
    do("echo hello", on_progress=lambda *progress: seen.append(progress))
    assert seen == [(0, 1, "started")]


def test_one_child_serves_many_documents_of_one_owner(do: Do, host: ProcessorHost) -> None:
    do("echo one")
    first = host.pid
    do("echo two")
    assert host.pid == first


def test_a_child_that_was_started_ahead_serves_the_first_owner(do: Do) -> None:
    host = ProcessorHost([FAULTY])
    try:
        host.start(BUDGET.memory_bytes)
        ready = host.pid
        do("echo one", host=host, owner="a")
        assert host.pid == ready
    finally:
        host.close()


def test_another_owner_gets_another_child(do: Do, host: ProcessorHost) -> None:
    do("echo one", owner="a")
    first = host.pid
    do("echo two", owner="b")
    assert host.pid != first


def test_another_memory_cap_gets_another_child(do: Do, host: ProcessorHost) -> None:
    do("echo one")
    first = host.pid
    do("echo two", budget=replace(BUDGET, memory_bytes=2 * BUDGET.memory_bytes))
    assert host.pid != first


def test_a_child_is_retired_after_fifty_documents(do: Do, host: ProcessorHost) -> None:
    pids = []
    for number in range(51):
        do(f"echo {number}")
        pids.append(host.pid)
    served_by_first = pids.count(pids[0])
    assert served_by_first == host_module.DOCUMENTS_PER_CHILD - 1  # gone after its fiftieth
    assert pids[49] is None
    assert pids[50] not in (None, pids[0])


# --- dying ---


@pytest.mark.parametrize(
    ("order", "exit_code", "name"),
    [
        ("segfault", -signal.SIGSEGV, "SIGSEGV"),
        ("abort", -signal.SIGABRT, "SIGABRT"),
        ("leave 3", 3, "exit code 3"),
        ("leave 0", 0, "exit code 0"),
    ],
)
def test_a_crash_is_told_and_the_next_document_runs(
    do: Do, order: str, exit_code: int, name: str
) -> None:
    with pytest.raises(ChildCrashed) as caught:
        do(order)
    assert caught.value.exit == exit_code
    assert name in caught.value.detail
    assert caught.value.code == "processor.crashed"
    assert do("echo still here").extraction.text == "still here"


def test_a_crash_is_told_where_one_cannot_look_without_reaping(
    do: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn, "CAN_LOOK", False)
    do("echo warm")
    with pytest.raises(ChildCrashed) as caught:
        do("segfault")
    assert caught.value.exit == -signal.SIGSEGV
    assert do("echo still here").extraction.text == "still here"


def test_a_crash_keeps_what_the_child_last_said(do: Do) -> None:
    with pytest.raises(ChildCrashed) as caught:
        do("segfault")
    assert "Segmentation fault" in caught.value.stderr
    assert "faulty.py" in caught.value.stderr


def test_a_child_killed_from_outside_is_a_crash(do: Do, host: ProcessorHost) -> None:
    do("echo warm")

    def kill(done: int, total: int, note: str) -> None:
        assert host.pid
        os.kill(host.pid, signal.SIGKILL)

    with pytest.raises(ChildCrashed) as caught:
        do("sleep", on_progress=kill)
    assert caught.value.exit == -signal.SIGKILL
    assert do("echo next").extraction.text == "next"


def test_a_child_killed_between_documents_is_replaced_in_silence(
    do: Do, host: ProcessorHost
) -> None:
    do("echo one")
    assert host.pid
    os.kill(host.pid, signal.SIGKILL)
    eventually(lambda: not is_running(host.pid or 0))
    assert do("echo two").extraction.text == "two"


# --- never ending ---


@pytest.mark.parametrize("order", ["spin_in_python", "spin_in_c", "tick"])
def test_time_is_limited(do: Do, order: str) -> None:
    started = time.monotonic()
    do("echo warm")
    with pytest.raises(OutOfResources) as caught:
        do(order, budget=replace(BUDGET, seconds=1.0))
    assert caught.value.code == "processor.timeout"
    assert time.monotonic() - started < 20
    assert caught.value.usage is not None


def test_computing_time_is_limited_even_if_nobody_watches(do: Do, host: ProcessorHost) -> None:
    """The kernel's own limit. The watch is made late by a callback that takes its time."""

    def dawdle(done: int, total: int, note: str) -> None:
        pid = host.pid
        eventually(lambda: not is_running(pid or 0))

    with pytest.raises(OutOfResources) as caught:
        do("spin_in_c", budget=replace(BUDGET, seconds=1.0), on_progress=dawdle)
    assert caught.value.code == "processor.timeout"


def test_silence_is_noticed_and_finished_pages_are_kept(do: Do) -> None:
    with pytest.raises(OutOfResources) as caught:
        do("sleep 3", budget=replace(BUDGET, silence_seconds=0.5))
    assert caught.value.code == "processor.stalled"
    partial = caught.value.partial
    assert partial is not None
    assert [page.text for page in partial.pages] == [f"text of page {n}" for n in (1, 2, 3)]
    assert partial.quality == "partial"
    assert partial.engine == "faulty 1"


def test_nothing_finished_means_no_partial_result(do: Do) -> None:
    with pytest.raises(OutOfResources) as caught:
        do("sleep", budget=replace(BUDGET, silence_seconds=0.5))
    assert caught.value.partial is None


@pytest.mark.alone  # it measures
@pytest.mark.parametrize("order", ["spin_in_c", "sleep"])
def test_a_stop_is_obeyed_within_a_second(do: Do, host: ProcessorHost, order: str) -> None:
    do("echo warm")
    wanted = time.monotonic() + 0.5
    asked: list[float] = []

    def should_stop() -> bool:
        asked.append(time.monotonic())
        return asked[-1] > wanted

    with pytest.raises(Stopped):
        do(order, should_stop=should_stop)
    assert time.monotonic() - wanted < 1.0
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert sorted(gaps)[len(gaps) // 2] <= 0.25
    assert host.pid is None


def test_a_document_starts_no_program_or_it_ends_with_it(do: Do) -> None:
    """The first where the kernel refuses it, as on Linux; the second elsewhere."""
    notes: list[str] = []
    with pytest.raises((ProcessorBug, Stopped)) as caught:
        do(
            "start_another",
            on_progress=lambda *seen: notes.append(seen[2]),
            should_stop=lambda: any(note.startswith("pid ") for note in notes),
        )
    started = [int(note.removeprefix("pid ")) for note in notes if note.startswith("pid ")]
    assert bool(started) != isinstance(caught.value, ProcessorBug)
    for pid in started:
        eventually(lambda pid=pid: not is_running(pid))


def test_a_callback_that_fails_ends_the_child(do: Do, host: ProcessorHost) -> None:
    def fail(done: int, total: int, note: str) -> None:
        raise ValueError("the lease is lost")

    with pytest.raises(ValueError, match="the lease is lost"):
        do("sleep", on_progress=fail)
    assert host.pid is None


# --- too much ---


def test_memory_is_limited_and_finished_pages_are_kept(do: Do) -> None:
    with pytest.raises(OutOfResources) as caught:
        do("fill_memory")
    assert caught.value.code == "processor.memory"
    assert caught.value.partial is not None
    assert caught.value.partial.text == "before the flood"


def test_an_abort_for_lack_of_memory_is_no_crash(do: Do) -> None:
    with pytest.raises(OutOfResources) as caught:
        do("abort_when_full")
    assert caught.value.code == "processor.memory"
    assert caught.value.usage is not None
    assert caught.value.usage.peak_rss_bytes > 500 * MEGABYTE


@pytest.mark.parametrize("order", ["one_huge_answer", "many_large_pages"])
def test_output_is_limited(do: Do, order: str) -> None:
    with pytest.raises(OutOfResources) as caught:
        do(order)
    assert caught.value.code == "processor.output"


@pytest.mark.parametrize(
    ("reported", "returned"),
    [
        (["a", "b", "c"], ["a", "b", "c"]),
        (["a", "b"], ["a", "b", "c"]),
        (["a", "b", "c"], ["a", "corrected", "c"]),
        (["a", "b"], ["a"]),
        ([], ["a"]),
        (["a"], []),
    ],
)
def test_what_is_returned_counts_whatever_was_reported(
    do: Do, reported: list[str], returned: list[str]
) -> None:
    order = json.dumps({"reported": reported, "returned": returned})
    pages = do(order, processor="tests.processors.giving.GivingProcessor").extraction.pages
    assert [page.text for page in pages] == returned


# --- talking ---


def test_printing_does_no_harm(do: Do) -> None:
    assert do("chatter").extraction.text == "understood"


def test_nonsense_on_the_line_is_a_crash(do: Do, host: ProcessorHost) -> None:
    with pytest.raises(ChildCrashed):
        do("scribble")
    assert host.pid is None


def test_a_mistake_in_a_processor_is_ours(do: Do) -> None:
    with pytest.raises(ProcessorBug) as caught:
        do("mistake")
    assert caught.value.code == "processor.error"
    assert "a mistake of the programmer" in caught.value.traceback
    assert "a mistake of the programmer" not in caught.value.detail


def test_a_processor_that_does_not_load_is_ours_and_breaks_no_other(do: Do) -> None:
    with pytest.raises(ProcessorBug) as caught:
        do("echo", processor="tests.processors.faulty.Unloadable")
    assert "no model" in caught.value.traceback
    assert do("echo works").extraction.text == "works"


def test_a_refusal_arrives_as_it_was_meant(do: Do) -> None:
    with pytest.raises(BadDocument) as caught:
        do("refuse")
    assert caught.value.code == "document.corrupt"
    assert caught.value.detail == "It is broken \ufffd."
    assert caught.value.usage is not None


def test_what_may_pass_arrives_with_its_wait(do: Do) -> None:
    with pytest.raises(Unavailable) as caught:
        do("wait_for_better_times")
    assert (caught.value.code, caught.value.retry_after) == ("processor.model_away", 7.5)


def test_text_that_no_database_takes_is_cleaned(do: Do) -> None:
    assert do("say_unstorable").extraction.text == "ab\ufffdc\N{GRINNING FACE}"


def test_two_hosts_in_two_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    answers: dict[str, str] = {}

    def work(name: str) -> None:
        mine = ProcessorHost()
        source = tmp_path / f"{name}.txt"
        source.write_text(f"echo {name}")
        try:
            for _ in range(5):
                outcome = mine.run(
                    processor="tests.processors.faulty.FaultyProcessor",
                    source=source,
                    name=source.name,
                    kind="txt",
                    options=Options(),
                    owner=name,
                    budget=BUDGET,
                    on_progress=lambda done, total, note: None,
                    should_stop=lambda: False,
                )
                answers[name] = outcome.extraction.text
        finally:
            mine.close()

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {"one": "one", "two": "two", "three": "three"}
