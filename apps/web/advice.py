"""Why a file failed, in words for people: what happens next, and what they can do.

`docs/errors.md` tells the same of the same codes.
"""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

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

GOES_ON = "Nothing: it goes on by itself."
REPORT = "Report it with the file's id."
ADVICE = {
    "document.bomb": "Send the content in another form.",
    "document.corrupt": "Send an undamaged copy.",
    "document.empty": "Send a copy that has content.",
    "document.encrypted": "Submit it again with its password, or send a copy that needs none.",
    "document.gone": "Submit it again.",
    "document.infected": "Do not open it; tell who sent it to you.",
    "document.language": "Submit it again with a language that is installed.",
    "document.mislabelled": "Give it the ending that fits its content, and submit it again.",
    "document.name": "Rename it and submit it again.",
    "document.nested": "Take out what lies deepest and submit it by itself.",
    "document.pages": "Submit it again with pages that it has.",
    "document.password": "Submit it again with the right password.",
    "document.password_lost": "Submit it again with its password.",
    "document.too_large": "Split or shrink it.",
    "document.too_many_members": "Split it.",
    "document.too_many_pages": "Split it, or choose fewer pages.",
    "document.unsafe": "Save it anew and send that copy.",
    "document.unsupported": "Save it as a kind that is read, such as PDF.",
    "processor.crashed": "Save it anew and send that copy; if that fails too, report it.",
    "processor.error": REPORT,
    "processor.memory": "Split it, or ask an admin to raise PROCESSING_MEMORY_BYTES.",
    "processor.output": "Split it.",
    "processor.stalled": "Split it, or ask an admin to raise PROCESSING_SILENCE_SECONDS.",
    "processor.stopped": GOES_ON,
    "processor.timeout": "Split it, or ask an admin to raise PROCESSING_TIMEOUT_SECONDS.",
    "processor.unavailable": "Run it again later; if that fails too, ask an admin.",
    "queue.database": GOES_ON,
    "queue.error": REPORT,
    "queue.interrupted": GOES_ON,
    "queue.lost": "Nothing at first; if it happens again and again, ask an admin.",
    "queue.storage": "Nothing at first; if it stays, ask an admin: the disk may be full.",
}
"""Error code -> what the person who sent the file can do."""
DEFAULT = "Run it again; if that fails too, report it with the file's id."
"""For a code that only a processor from elsewhere knows."""

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


def trouble_of(file: BatchFile) -> Trouble | None:
    """None when nothing is wrong with the file."""
    if not file.error_code:
        return None
    has_ended = file.state not in (*READY, State.RUNNING)
    return Trouble(
        title=_title(file.state),
        level="error" if has_ended else "warning",
        detail=file.error_detail,
        next_step=next_step(file),
        advice=ADVICE.get(file.error_code, DEFAULT),
        code=file.error_code,
    )


def _title(state: str) -> str:
    titles = {
        REJECTED: "Why it was refused",
        State.FAILED: "Why it failed",
        State.QUARANTINED: "Why it is quarantined",
    }
    return titles.get(state, "The last attempt failed")


def next_step(file: BatchFile) -> str:
    """What becomes of a file with an error, in one or two sentences."""
    if file.state == REJECTED:
        return "It was refused when it was submitted; its bytes were not kept."
    if file.state == State.RUNNING:
        return "It is being tried again now."
    why = FailureClass(file.error_class)
    if file.state in READY:
        when = f"It is tried again {soon(file.available_at)}"
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
