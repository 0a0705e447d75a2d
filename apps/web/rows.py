"""Jobs as lists show them: what each is called, how far it is, what went wrong first."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.core.rows import Links
from apps.jobs.live import Live, live_of
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.naming import job_title
from apps.jobs.states import OPEN, REJECTED
from apps.queue.doorbell import live_slots
from apps.queue.states import READY, State
from apps.web.access import is_fragment

WENT_WRONG = (State.FAILED, State.QUARANTINED, REJECTED)
"""The states of files that a person should know of."""
NAME_LENGTH = 40
"""To how many characters a file's name is shortened where the reason after it must be seen."""


def titles_of(jobs: Sequence[BatchJob]) -> dict[UUID, str]:
    """What each of `jobs` is called, by its id; at most one query."""
    nameless = [job.pk for job in jobs if not job.name]
    first = BatchFile.objects.filter(job__in=nameless, position=1).values_list("job_id", "name")
    names = dict(first)
    return {job.pk: job_title(job.name, names.get(job.pk, ""), job.total) for job in jobs}


@dataclass(frozen=True)
class Row:
    """A job in a list; `live` only while it is open, `reason` only where it was asked for."""

    job: BatchJob
    title: str
    url: str
    live: Live | None
    reason: str = ""  # markup

    @property
    def counts(self) -> dict[str, int]:
        """Its files by state."""
        return self.live.counts if self.live else self.job.counts

    @property
    def seconds(self) -> float | None:
        """How long it ran; None while it is open, and for one that never started."""
        if self.job.started_at is None or self.job.finished_at is None:
            return None
        return (self.job.finished_at - self.job.started_at).total_seconds()


def rows_of(jobs: Sequence[BatchJob], *, reasons: Mapping[UUID, str] | None = None) -> list[Row]:
    """`jobs` in their order; at most two queries."""
    titles = titles_of(jobs)
    live = live_of([job for job in jobs if job.state in OPEN])
    links = Links()
    return [
        Row(
            job,
            titles[job.pk],
            links("web:job", job.pk),
            live.get(job.pk),
            (reasons or {}).get(job.pk, ""),
        )
        for job in jobs
    ]


def reasons_of(jobs: Iterable[BatchJob]) -> dict[UUID, SafeString]:
    """What went wrong first in each of `jobs`, by its id, as markup; one query."""
    files = BatchFile.objects.filter(job__in=[job.pk for job in jobs], state__in=WENT_WRONG)
    found: dict[UUID, list[BatchFile]] = {}
    for file in files.order_by("position").only("job_id", "name", "error_detail"):
        found.setdefault(file.job_id, []).append(file)
    return {job_id: reason(of_job) for job_id, of_job in found.items()}


def reason(files: Sequence[BatchFile]) -> SafeString:
    """The first of `files` with its reason, and how many more there are, as markup."""
    first, more = files[0], len(files) - 1
    told = format_html("<bdi>{}</bdi>", _shortened(first.name))
    if first.error_detail:
        told = format_html("{}: <bdi>{}</bdi>", told, first.error_detail)
    return format_html("{} (and {} more)", told, more) if more else told


def _shortened(name: str) -> str:
    """`name` without its middle where it is long: how it begins and what kind it is stay."""
    if len(name) <= NAME_LENGTH:
        return name
    tail = NAME_LENGTH // 3
    return f"{name[: NAME_LENGTH - tail - 1]}…{name[-tail:]}"


def nobody_works(files: Iterable[tuple[str, str]]) -> bool:
    """Whether of `files`, each (its state, its lane), some wait and none runs, and no living worker
    would take any of them."""
    found = set(files)
    lanes = sorted({lane for state, lane in found if state in READY})
    if not lanes or any(state == State.RUNNING for state, _ in found):
        return False
    return not any(live_slots(lane) for lane in lanes)


def fingerprint(jobs: Iterable[BatchJob], *more: object) -> str:
    """Changes when any of `jobs` changes, comes or goes, or any of `more` does."""
    known = [(str(job.pk), job.revision) for job in jobs]
    return hashlib.blake2s(repr((known, more)).encode(), digest_size=8).hexdigest()


def fills(request: HttpRequest, element: str) -> bool:
    """Whether htmx asks for the part of the page that has the id `element`.

    Not so when it restores a page from the browser's history: then it wants the whole.
    """
    return is_fragment(request) and request.headers.get("HX-Target") == element
