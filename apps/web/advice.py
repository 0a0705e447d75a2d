"""Why a file failed, in words for people: what happens next, and what they can do."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from apps.jobs.advice import advice_on
from apps.jobs.models import BatchFile
from apps.jobs.states import REJECTED
from apps.queue.retry import (
    CRASHES_TO_QUARANTINE,
    LOSSES_TO_QUARANTINE,
    MAX_RETRIES,
    FailureClass,
)
from apps.queue.states import READY, State
from apps.web.words import duration

CLASS_WORDS = {
    FailureClass.TRANSIENT: "may pass",
    FailureClass.RATE_LIMITED: "told to wait",
    FailureClass.PERMANENT: "will not pass",
    FailureClass.RESOURCE: "over a limit",
    FailureClass.CRASH: "crashed",
    FailureClass.LOST: "worker lost",
    FailureClass.INFRA: "storage or database",
    FailureClass.BUDGET: "budget spent",
    FailureClass.INTERRUPTED: "interrupted",
}

_NOT_COUNTED = "This does not count against the file."
_BEFORE_NEXT = {
    FailureClass.RATE_LIMITED: f"Another service asked us to wait. {_NOT_COUNTED}",
    FailureClass.RESOURCE: "This time it gets twice the time and memory.",
    FailureClass.CRASH: "If reading it crashes again, it is quarantined.",
    FailureClass.LOST: _NOT_COUNTED,
    FailureClass.INFRA: f"The trouble is on our side. {_NOT_COUNTED}",
    FailureClass.BUDGET: f"Its job is paused until somebody resumes it. {_NOT_COUNTED}",
    FailureClass.INTERRUPTED: _NOT_COUNTED,
}
_AFTER_LAST = {
    FailureClass.PERMANENT: "It is not tried again: the outcome would be the same.",
    FailureClass.RESOURCE: "A second try with twice the time and memory did not get further, "
    "so it is not tried again by itself.",
    FailureClass.CRASH: f"Reading it crashed {CRASHES_TO_QUARANTINE} times, so it is kept apart "
    "until an owner or admin runs it again.",
    FailureClass.LOST: f"Its worker stopped answering {LOSSES_TO_QUARANTINE} times in a row, so it "
    "is kept apart until an owner or admin runs it again.",
}


@dataclass(frozen=True)
class Trouble:
    """What a notice says of a file that failed or waits to be tried again."""

    title: str
    level: str
    detail: str
    next_step: str
    advice: str
    code: str


def trouble_of(file: BatchFile, *, is_paused: bool = False) -> Trouble | None:
    """None when nothing is wrong with the file; `is_paused` when something holds it back."""
    if not file.error_code:
        return None
    has_ended = file.state not in (*READY, State.RUNNING)
    return Trouble(
        title=_title(file.state),
        level="error" if has_ended else "warning",
        detail=file.error_detail,
        next_step=next_step(file, is_paused=is_paused),
        advice=advice_on(file.error_code),
        code=file.error_code,
    )


def _title(state: str) -> str:
    titles = {
        REJECTED: "Why it was refused",
        State.FAILED: "Why it failed",
        State.QUARANTINED: "Why it is quarantined",
    }
    return titles.get(state, "The last attempt failed")


def next_step(file: BatchFile, *, is_paused: bool = False) -> str:
    """What becomes of a file with an error, in one or two sentences."""
    if file.state == REJECTED:
        return "It was refused when it was submitted; its bytes were not kept."
    if file.state == State.RUNNING:
        return "It is being tried again now."
    why = FailureClass(file.error_class)
    if file.state in READY:
        when = f"It is tried again {'once it is resumed' if is_paused else soon(file.available_at)}"
        if why is FailureClass.TRANSIENT:
            return f"{when}: retry {file.failures} of {MAX_RETRIES}."
        return f"{when}. {_BEFORE_NEXT.get(why, '')}".rstrip()
    if why is FailureClass.TRANSIENT:
        return f"It was tried {file.failures} times and is not tried again by itself."
    return _AFTER_LAST.get(why, "It is not tried again by itself.")


def soon(moment: datetime) -> str:
    """When a file that waits for `moment` is taken up, so roughly that it seldom changes."""
    seconds = (moment - timezone.now()).total_seconds()
    if seconds <= 0:
        return "as soon as a worker is free"
    if seconds < 60:
        return "in less than a minute"
    return f"in about {duration(60 * round(seconds / 60))}"
