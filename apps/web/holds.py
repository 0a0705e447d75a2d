"""What is paused, in words for people: by whom, why, since when, and what comes of it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from apps.accounts.models import Organization
from apps.jobs.models import BatchFile
from apps.jobs.pausing import (
    Paused,
    QueuePause,
    pause_of_file,
    pauses_of_jobs,
    pauses_of_queue,
)
from apps.jobs.states import JobState
from apps.queue.states import READY, State


@dataclass(frozen=True)
class Hold:
    """A notice of one pause; `by` is a name or "" for none, `until` when it ends by itself."""

    what: str
    by: str
    reason: str
    since: datetime | None
    until: datetime | None = None


def hold_of_job(paused: Paused) -> Hold:
    return _hold("The job is paused", paused)


def _hold(what: str, paused: Paused) -> Hold:
    return Hold(what, paused.by or "", paused.reason, paused.since)


def hold_of_queue(pause: QueuePause) -> Hold:
    return Hold(_what(pause), pause.by or "", pause.reason, pause.since, pause.until)


def holds_of_lanes(organization: Organization, lanes: Collection[str]) -> list[Hold]:
    """What is said of every pause of the queue that holds back what the organization has waiting
    in any of `lanes`."""
    found = pauses_of_queue(organization.pk) if lanes else []
    return [hold_of_queue(each) for each in found if any(map(each.holds, lanes))]


def holds_of_file(file: BatchFile) -> list[Hold]:
    """What is said of every pause that holds the waiting `file` back, its own first."""
    if file.state not in READY:
        return []
    found = [each for each in pauses_of_queue(file.organization_id) if each.holds(file.lane)]
    own = [hold_of_job(paused) for paused in pauses_of_jobs([file.job]).values()]
    if paused := pause_of_file(file):
        own = [_hold("This file is paused", paused)]
    return [*own, *map(hold_of_queue, found)]


def _what(pause: QueuePause) -> str:
    if pause.scope == "everything":
        return "Everything is paused"
    if pause.scope == "lane":
        return f"The lane {pause.lane} is paused"
    lane = f" in the lane {pause.lane}" if pause.lane else ""
    return f"The organization is paused{lane}"


def shown_state(file: BatchFile, *, is_held: bool) -> str:
    """The state of a file as people see it: one that runs and shall stop is being cancelled, one
    that is held back is paused."""
    if file.state == State.RUNNING and file.cancel_requested:
        return str(JobState.CANCELLING)
    return str(JobState.PAUSED if is_held else file.state)
