"""What the page of one job tells. Plain values for its templates, read in few queries."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlencode

from django.conf import settings
from django.core.paginator import Page, Paginator
from django.urls import reverse
from django.utils import timezone

from apps.accounts.actor import Actor
from apps.core.errors import NotFound
from apps.core.rows import Links
from apps.jobs.live import Live, Seen, live_from
from apps.jobs.models import CONTAINERS, BatchFile, BatchJob, FileResult
from apps.jobs.naming import job_title
from apps.jobs.pausing import (
    Paused,
    QueuePause,
    is_held,
    pauses_of_jobs,
    pauses_of_queue,
)
from apps.jobs.progress import place_words
from apps.jobs.results import files_in_order
from apps.jobs.services import runs_again
from apps.jobs.states import CLOSED, DUPLICATE, FILE_STATES, OPEN, READ, JobState
from apps.queue.models import Priority
from apps.queue.states import READY, UNFINISHED, State
from apps.web import words
from apps.web.downloads import Downloads
from apps.web.holds import Hold, hold_of_job, hold_of_queue, shown_state
from apps.web.questions import (
    Question,
    cancel_question,
    delete_question,
    pause_question,
    requeue_question,
)
from apps.web.rows import nobody_works

PER_PAGE = 100
"""Rows of the table that one page shows."""
FEW_FILES = 10
"""Up to so many, a filter by state would only be in the way."""
QUARTER = 25


@dataclass(frozen=True)
class Row:
    """A file in the table; `container` is what it was found in, if anything, and `inside` how many
    files were found in it; `is_held`: it waits because something is paused."""

    file: BatchFile
    url: str
    container: BatchFile | None = None
    inside: int = 0
    is_held: bool = False

    @property
    def result(self) -> FileResult | None:
        return getattr(self.file, "result", None)

    @property
    def state(self) -> str:
        return shown_state(self.file, is_held=self.is_held)

    @property
    def percent(self) -> int:
        return int(self.file.progress * 100)

    @property
    def next_try(self) -> str:
        """When a file that waits to be tried again will be, in words; else empty."""
        if self.file.state != State.RETRY_WAIT or self.is_held:
            return ""
        wait = (self.file.available_at - timezone.now()).total_seconds()
        return f"Next try in {words.duration(wait)}." if wait > 0 else "Next try as soon as it can."

    @property
    def seconds(self) -> float | None:
        """From the first start to the end; None where either is missing."""
        if self.file.started_at is None or self.file.finished_at is None:
            return None
        return float((self.file.finished_at - self.file.started_at).total_seconds())


@dataclass(frozen=True)
class Chip:
    """A choice of files by state; `state` is empty for all."""

    state: str
    label: str
    count: int
    is_chosen: bool


class JobPage:
    """One job as `actor` sees it; in the table only its files in state `chosen`, if that is one,
    and of these page `number`.

    The job was read before its files are, and all that moves is told from one reading of these:
    so what is shown may be ahead of the revision it goes by, and never behind it. Raises NotFound
    when the job is gone.
    """

    def __init__(self, job: BatchJob, actor: Actor, *, chosen: str = "", number: str = "") -> None:
        self.job = job
        self.actor = actor
        self.chosen = chosen if chosen in FILE_STATES else ""
        self._number = number
        self.files = files_in_order(job)
        for file in self.files:
            file.job = job  # spares a query for each
        if not self.files:  # deleted since it was found
            raise NotFound("There is no such job.")
        # Read after the files: what they come to may be less than what was shown before.
        floors = BatchJob.objects.filter(pk=job.pk).values_list("progress_floor", flat=True)
        self._floor = floors.first() or 0.0
        self._read_at = int(time.time())

    # --- who and what

    @property
    def title(self) -> str:
        return job_title(self.job.name, self.files[0].name, self.job.total)

    @property
    def priority(self) -> str:
        return str(Priority(self.job.priority).label)

    @property
    def is_open(self) -> bool:
        return self.job.state in OPEN

    # --- how far it is

    @cached_property
    def live(self) -> Live:
        states = Counter(file.state for file in self.files)
        states["total"] = len(self.files)
        states[State.SUCCEEDED] += states[DUPLICATE]
        unfinished = [file for file in self.files if file.state in UNFINISHED]
        follows = sum(file.waits_for_id is not None for file in unfinished)
        tries = [file.available_at for file in unfinished if file.state == State.RETRY_WAIT]
        begun = sum(file.progress for file in unfinished if file.kind not in CONTAINERS)
        seen = Seen(
            states,
            begun=begun,
            floor=self._floor,
            read=sum(self._was_read(file) for file in self.files),
            followers=follows,
            next_try=max(tries, default=None),
            is_held=any(is_held(file, self.pauses) for file in unfinished),
        )
        return live_from(self.job, seen)

    def _was_read(self, file: BatchFile) -> bool:
        """Whether it was read to an end, well or badly, since the job was started."""
        if file.state not in READ or file.finished_at is None or self.job.started_at is None:
            return False
        return file.finished_at >= self.job.started_at

    @property
    def done(self) -> int:
        return sum(file.state not in UNFINISHED for file in self.files)

    @property
    def took(self) -> float | None:
        """Seconds from the first start to the end; None while open, or when nothing started."""
        if self.job.started_at is None or self.job.finished_at is None:
            return None
        return float((self.job.finished_at - self.job.started_at).total_seconds())

    @cached_property
    def place(self) -> str:
        """Where a job that waits stands in line, in words; else empty, and while nothing moves."""
        if self.job.state != JobState.QUEUED or not settings.ENABLE_BATCH:
            return ""
        before = BatchFile.objects.waiting_before([self.job]).get(self.job.pk)
        if before is None:
            return ""
        return place_words(before, words.files(before)) if before else "next in line"

    @cached_property
    def is_stuck(self) -> bool:
        """Whether files wait and no living worker would take any of them."""
        return nobody_works((file.state, file.lane) for file in self.files)

    @property
    def news(self) -> str:
        """What a screen reader says by itself: each quarter, and the end."""
        if self.job.state in CLOSED:
            return f"Job finished: {words.outcome(self.live.counts)}."
        if self.job.state == JobState.CANCELLING:
            return "The job is being cancelled."
        if self.job.state == JobState.PAUSED:
            return "The job is paused."
        quarters = self.live.percent // QUARTER * QUARTER
        return f"{quarters} % done." if quarters else ""

    # --- what holds it back

    @cached_property
    def paused(self) -> Paused | None:
        """Its own pause."""
        return pauses_of_jobs([self.job]).get(self.job.pk)

    @cached_property
    def pauses(self) -> list[QueuePause]:
        """Those of the queue that hold back any of its files."""
        lanes = {file.lane for file in self.files if file.state in READY}
        found = pauses_of_queue(self.job.organization_id) if lanes else []
        return [each for each in found if any(each.holds(lane) for lane in lanes)]

    @property
    def holds(self) -> list[Hold]:
        """What is said of every pause, its own first."""
        own = [hold_of_job(self.paused)] if self.paused else []
        return [*own, *map(hold_of_queue, self.pauses)]

    # --- the table

    @cached_property
    def sheet(self) -> Page[BatchFile]:
        """The part of the files that is shown; the nearest where there is no such page."""
        files = [file for file in self.files if self.chosen in ("", file.state)]
        return Paginator(files, PER_PAGE).get_page(self._number)

    @property
    def rows(self) -> list[Row]:
        containers = {file.pk: file for file in self.files if file.kind in CONTAINERS}
        inside = Counter(file.parent_id for file in self.files)
        links = Links()
        return [
            Row(
                file,
                links("web:file", file.pk),
                containers[file.parent_id] if file.parent_id else None,
                inside[file.pk],
                is_held(file, self.pauses),
            )
            for file in self.sheet
        ]

    @property
    def previous(self) -> str:
        """The address of the rows before these; empty where there are none."""
        return self._at(self.sheet.previous_page_number()) if self.sheet.has_previous() else ""

    @property
    def next(self) -> str:
        return self._at(self.sheet.next_page_number()) if self.sheet.has_next() else ""

    def _at(self, number: int) -> str:
        return _with_query(reverse("web:job", args=[self.job.pk]), self._shown(number))

    def _shown(self, number: int) -> dict[str, str | int]:
        """The query of a page of the table."""
        chosen: dict[str, str | int] = {"state": self.chosen} if self.chosen else {}
        return chosen | ({"page": number} if number > 1 else {})

    @property
    def chips(self) -> list[Chip]:
        """All and each state that there is; none where there is little to choose from."""
        counts = {s: n for s in FILE_STATES if (n := self.live.counts[s]) or s == self.chosen}
        if not self.chosen and (len(self.files) <= FEW_FILES or len(counts) < 2):
            return []
        states = [Chip(s, words.STATE_WORDS[s][0], n, s == self.chosen) for s, n in counts.items()]
        return [Chip("", "All", len(self.files), not self.chosen), *states]

    # --- what can be done

    @property
    def has_results(self) -> bool:
        return any(hasattr(file, "result") for file in self.files)

    @cached_property
    def downloads(self) -> Downloads:
        return Downloads(self.actor, self.job, self.files)

    @property
    def moves(self) -> bool:
        """Whether there may be news of it."""
        return self.is_open or self.downloads.is_building

    @property
    def has_events(self) -> bool:
        """Whether events tell of all its news: of the building of a download they do not."""
        return self.is_open and not self.downloads.is_building

    @property
    def may_update(self) -> bool:
        return self.actor.may("update", "jobs", created_by_id=self.job.created_by_id)

    @property
    def may_delete(self) -> bool:
        return self.actor.may("delete", "jobs", created_by_id=self.job.created_by_id)

    @property
    def may_hold(self) -> bool:
        """Whether it can be paused or cancelled, or moved in the line."""
        return self.may_update and self.is_open and self.job.state != JobState.CANCELLING

    @property
    def may_pause(self) -> bool:
        return self.may_hold and self.job.state != JobState.PAUSED

    @property
    def may_resume(self) -> bool:
        """Whether it, or any file of it by itself, is paused."""
        held = any(is_held(file, ()) for file in self.files)
        return self.may_hold and (held or self.job.state == JobState.PAUSED)

    @property
    def retried(self) -> int:
        """How many files a retry would run again: 0 while it would be refused."""
        if not self.may_requeue:
            return 0
        return sum(self.live.counts[state] for state in runs_again(self.actor))

    @property
    def may_discard(self) -> bool:
        ended_badly = self.job.state in (JobState.FAILED, JobState.PARTIAL)
        return self.may_update and ended_badly and self.job.discarded_at is None

    @property
    def may_requeue(self) -> bool:
        return self.may_update and not self.is_open and bool(settings.ENABLE_BATCH)

    @property
    def priorities(self) -> list[str]:
        return list(Priority.labels)

    @property
    def questions(self) -> list[Question]:
        """Those that this page may come to ask while it is open."""
        asked = []
        if self.may_update:
            asked = [cancel_question(self.job), pause_question(self.job)] if self.may_hold else []
            asked += [requeue_question(self.job)] if settings.ENABLE_BATCH else []
        return [*asked, delete_question(self.job)] if self.may_delete else asked

    # --- how the page asks for news

    @property
    def poll_url(self) -> str:
        """Where to ask for what is newer than this."""
        known: dict[str, str | int] = {"revision": self.job.revision, "at": self._read_at}
        if self.downloads.is_building:
            known["exports"] = self.downloads.token
        url = reverse("web:job-live", args=[self.job.pk])
        return _with_query(url, known | self._shown(self.sheet.number))


def _with_query(url: str, query: Mapping[str, str | int]) -> str:
    return f"{url}?{urlencode(query)}" if query else url
