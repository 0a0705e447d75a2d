"""What a fuzz run has found stays mended, and the run itself can find something."""

import argparse
import itertools
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.processors.errors import BadDocument
from apps.processors.host import ProcessorHost
from tests.fuzz import judging
from tests.fuzz.judging import ALLOWED, Judge, Verdict
from tests.fuzz.run import Tally, mutants, ocr_for, seeds, told, work

pytestmark = pytest.mark.once

REGRESSIONS = sorted((Path(__file__).parents[1] / "data" / "regressions").iterdir())
MUTANTS = 150


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    judge = Judge()
    yield judge
    judge.close()


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: path.name)
def test_what_was_found_once_is_harmless_now(judge: Judge, path: Path) -> None:
    content = path.read_bytes()
    verdict = judge.judge(path.name, content, ocr=ocr_for(content))
    assert verdict.outcome in ALLOWED, verdict


def test_damaged_documents_are_refused_or_read(judge: Judge) -> None:
    tally = Tally()
    for origin, name, content in itertools.islice(mutants(seeds(), "suite"), MUTANTS):
        verdict = judge.judge(name, content, ocr="never")
        tally.take(verdict)
        assert verdict.outcome in ALLOWED, f"from {origin}: {verdict}"
    assert sum(tally.outcomes.values()) == MUTANTS
    assert tally.outcomes["read"] > MUTANTS / 10
    assert tally.outcomes["refused"] > MUTANTS / 10


def test_mutants_are_the_same_for_the_same_seed_and_others_for_another() -> None:
    files = {"a.txt": b"one text of some length" * 20, "b.txt": b"another text" * 30}

    def first(seed: str) -> list[tuple[str, str, bytes]]:
        return list(itertools.islice(mutants(files, seed), 20))

    assert first("x") == first("x")
    assert first("x") != first("y")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RuntimeError("not foreseen"), "unmapped"),
        (BadDocument("document.corrupt", "It is damaged."), "refused"),
    ],
)
def test_what_may_not_happen_is_seen(
    judge: Judge, error: Exception, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **more: object) -> None:
        raise error

    monkeypatch.setattr(ProcessorHost, "run", fail)
    assert judge.judge("a.txt", b"some text").outcome == outcome


def test_a_bug_of_a_processor_is_seen(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        judging, "processor_path_for", lambda *_: "tests.processors.faulty.FaultyProcessor"
    )
    verdict = judge.judge("a.txt", b"no_such_order")
    assert (verdict.outcome, verdict.code) == ("bug", "processor.error")
    assert "AttributeError" in verdict.report


def test_a_run_counts_what_it_read_and_fails_for_what_may_not_happen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Judge, "judge", lambda *_, **__: Verdict("bug", "b", "txt", 0.1, "why"))
    results: multiprocessing.Queue[Tally] = multiprocessing.Queue()
    work(0, argparse.Namespace(minutes=1, files=3, jobs=1, seed="x", out=tmp_path), results)
    tally = results.get(timeout=10)
    assert tally.outcomes == {"bug": 3}
    assert len(list(tmp_path.glob("bug-*.report"))) == len(set(tally.findings)) > 0
    assert told(tally, 0, 1.0) == 1
    assert told(Tally(), 1, 1.0) == 1
    assert told(Tally(), 0, 1.0) == 0
