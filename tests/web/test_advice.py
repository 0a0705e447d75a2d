"""What people are told of a file that failed: complete, and the same as in the documentation."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.jobs.advice import ADVICE, DEFAULT
from apps.jobs.models import BatchFile
from apps.queue.retry import FailureClass
from apps.queue.states import State
from apps.web.advice import CLASS_WORDS, next_step, soon, trouble_of
from tests.architecture.test_docs import CODE, NOT_CODES, ROOT

pytestmark = pytest.mark.once

AREAS = ("document.", "processor.", "queue.")


def documented() -> dict[str, tuple[str, str]]:
    """Code -> (class, what to do), from the page about errors."""
    page = (ROOT / "docs/errors.md").read_text().partition("## Why a file failed")[2]
    rows = re.findall(r"^\| `(\w+\.\w+)` \| (\w+) \| .* \| (.*) \|$", page, re.MULTILINE)
    return {code: (failure_class, advice) for code, failure_class, advice in rows}


def codes_of_files() -> set[str]:
    """What the code below the pages ends a file with."""
    others = ("web", "migrations")
    paths = [path for path in (ROOT / "apps").rglob("*.py") if path.parent.name not in others]
    found = {code for path in paths for code in CODE.findall(path.read_text())}
    return {code for code in found if code.startswith(AREAS)} - NOT_CODES


def test_every_code_that_a_file_can_fail_with_has_advice() -> None:
    assert set(ADVICE) == codes_of_files()


def test_the_documentation_gives_the_same_advice() -> None:
    told = {code: advice[0].lower() + advice[1:].rstrip(".") for code, advice in ADVICE.items()}
    assert {code: advice for code, (_, advice) in documented().items()} == told


def test_advice_is_whole_sentences() -> None:
    for advice in (*ADVICE.values(), DEFAULT):
        assert re.fullmatch(r"[A-Z].+[a-zA-Z]\.", advice), advice


def test_every_class_has_words_and_is_documented() -> None:
    assert set(CLASS_WORDS) == set(FailureClass)
    page = (ROOT / "docs/errors.md").read_text()
    assert all(f"\n| `{each}` | " in page for each in FailureClass)
    assert {failure_class for failure_class, _ in documented().values()} <= set(FailureClass)


def a_file(state: str, why: str, **more: object) -> BatchFile:
    row = {"error_code": "test.failed", "error_detail": "It failed.", "error_class": why}
    return BatchFile(state=state, **(row | more))


@pytest.mark.parametrize(
    ("state", "why", "told"),
    [
        (State.FAILED, "permanent", "It is not tried again: the outcome would be the same."),
        (State.FAILED, "transient", "It was tried 2 times and is not tried again by itself."),
        (State.FAILED, "resource", "A second try with twice the time and memory"),
        (State.FAILED, "infra", "It is not tried again by itself."),
        (State.QUARANTINED, "crash", "Reading it crashed 2 times"),
        (State.QUARANTINED, "lost", "stopped answering 5 times in a row"),
        (State.RUNNING, "transient", "It is being tried again now."),
        ("rejected", "permanent", "It was refused when it was submitted"),
        (State.QUEUED, "resource", "free. This time it gets twice the time and memory."),
        (State.QUEUED, "crash", "If reading it crashes again, it is quarantined."),
        (State.QUEUED, "lost", "free. This does not count against the file."),
        (State.QUEUED, "interrupted", "free. This does not count against the file."),
        (State.RETRY_WAIT, "transient", "as soon as a worker is free: retry 2 of 3."),
        (State.RETRY_WAIT, "rate_limited", "Another service asked us to wait."),
        (State.RETRY_WAIT, "infra", "The trouble is on our side."),
        (State.RETRY_WAIT, "permanent", "It is tried again as soon as a worker is free."),
    ],
)
def test_it_says_what_happens_next(state: str, why: str, told: str) -> None:
    assert told in next_step(a_file(state, why, failures=2))


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-5, "as soon as a worker is free"),
        (20, "in less than a minute"),
        (70, "in about 1 min"),
        (480, "in about 8 min"),
        (7200, "in about 2 h"),
    ],
)
def test_it_says_roughly_when(seconds: int, told: str) -> None:
    assert soon(timezone.now() + timedelta(seconds=seconds)) == told


def test_a_file_without_an_error_is_in_no_trouble() -> None:
    assert trouble_of(BatchFile(state=State.QUEUED)) is None


def test_a_code_from_elsewhere_has_advice_too() -> None:
    trouble = trouble_of(a_file(State.FAILED, "permanent"))
    assert trouble is not None
    assert (trouble.advice, trouble.level, trouble.title) == (DEFAULT, "error", "Why it failed")


def test_a_file_that_is_tried_again_is_a_warning() -> None:
    trouble = trouble_of(a_file(State.RETRY_WAIT, "transient", error_code="queue.lost"))
    assert trouble is not None
    assert (trouble.level, trouble.title) == ("warning", "The last attempt failed")
    assert trouble.advice == ADVICE["queue.lost"]
