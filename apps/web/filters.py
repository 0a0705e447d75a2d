"""Which jobs a person asks to see: read from the page's address, and written back into it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import QueryDict
from django.urls import reverse
from django.utils.dateparse import parse_datetime

from apps.core.filters import is_storable
from apps.jobs.counters import IN_PROGRESS
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.states import OPEN, JobState
from apps.processors import registry

GROUPS: dict[str, tuple[str, frozenset[JobState]]] = {
    "running": ("In progress", OPEN),
    "failed": ("Failed", frozenset({JobState.FAILED, JobState.PARTIAL})),
    "succeeded": ("Succeeded", frozenset({JobState.SUCCEEDED})),
    "cancelled": ("Cancelled", frozenset({JobState.CANCELLED})),
}
"""State as people choose it -> (its label, the states of jobs)."""

MAX_QUERY = 300
"""Characters: no name is longer."""

SEARCHED = 10_000
"""How many jobs one search by name looks at: it reads each name, for no index finds their parts."""

NEWEST_FIRST = ("-created_at", "-id")


@dataclass(frozen=True)
class Filters:
    """What is asked for. `ignored` says in sentences what of it could not be understood."""

    state: str = ""
    operation: str = ""
    q: str = ""
    until: datetime | None = None
    ignored: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: QueryDict) -> "Filters":
        """From a page's parameters, whatever they hold."""
        ignored = []
        state, operation = given.get("state", ""), given.get("operation", "")
        if state and state not in GROUPS:
            ignored.append("There is no such state, so jobs in every state are shown.")
            state = ""
        if operation and operation not in registry.operations():
            ignored.append("There is no such operation, so jobs of every operation are shown.")
            operation = ""
        q = given.get("q", "").replace("\0", "").strip()
        if len(q) > MAX_QUERY:
            ignored.append(f"No name is that long: only the first {MAX_QUERY} characters count.")
            q = q[:MAX_QUERY].strip()
        until = _moment(given.get("until", "")) if q else None
        return cls(state, operation, q, until, tuple(ignored))

    @property
    def url(self) -> str:
        """The address of the list's first page with these filters."""
        until = self.until.isoformat() if self.until else ""
        chosen = {"state": self.state, "operation": self.operation, "q": self.q, "until": until}
        query = urlencode({name: value for name, value in chosen.items() if value})
        return f"{reverse('web:jobs')}?{query}".rstrip("?")

    def chips(self, counts: Mapping[str, int]) -> list[tuple[str, str, str, bool, int | None]]:
        """(name, label, address, whether it is chosen, how many) for every group of states, all
        first; `counts` is of `counters.jobs_by_state`. Nobody counts what a search would find."""
        groups = {"": ("All", {*counts})} | {
            name: (label, {IN_PROGRESS} if states == OPEN else {*map(str, states)})
            for name, (label, states) in GROUPS.items()
        }
        base = replace(self, until=None)
        return [
            (
                name or "all",
                label,
                replace(base, state=name).url,
                name == self.state,
                None if self.searches else sum(counts.get(each, 0) for each in states),
            )
            for name, (label, states) in groups.items()
        ]

    @property
    def operations(self) -> list[str]:
        return sorted(registry.operations())

    @property
    def searches(self) -> bool:
        """Whether it asks for jobs that nobody counts."""
        return bool(self.operation or self.q)

    @property
    def narrows(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.state or self.operation or self.q)


@dataclass(frozen=True)
class Found:
    """The jobs that fit. Those made at `older_from` or before were not looked at, if it is set."""

    jobs: QuerySet[BatchJob]
    older_from: datetime | None = None


def find(jobs: Any, filters: Filters) -> Found:
    """Those of `jobs` that `filters` ask for, not yet in any order; at most three queries."""
    if filters.state:
        jobs = jobs.filter(state__in=sorted(GROUPS[filters.state][1]))
    if filters.operation:
        jobs = jobs.filter(operation=filters.operation)
    if not filters.q:
        return Found(jobs)
    return _with_id(jobs, filters.q) or _with_name(jobs, filters)


def _with_id(jobs: QuerySet[BatchJob], text: str) -> Found | None:
    """The job whose id, or the id of one of whose files, is `text`; None when there is none."""
    try:
        wanted = UUID(text)
    except ValueError:
        return None
    # Asked one after the other: in one condition, SQLite would look at every job.
    of_file = BatchFile.objects.filter(pk=wanted).values_list("job_id", flat=True)
    found = jobs.filter(pk__in=[wanted, *of_file])
    return Found(found) if found.exists() else None


def _with_name(jobs: QuerySet[BatchJob], filters: Filters) -> Found:
    """Those of the newest jobs whose name, or the name of one of whose files, contains the text."""
    if filters.until:
        jobs = jobs.filter(created_at__lte=filters.until)
    moments = jobs.order_by(*NEWEST_FIRST).values_list("created_at", flat=True)
    older_from = next(iter(moments[SEARCHED : SEARCHED + 1]), None)
    if older_from:
        jobs = jobs.filter(created_at__gt=older_from)
    files = BatchFile.objects.filter(job=OuterRef("pk"), name__icontains=filters.q)
    # Not EXISTS: PostgreSQL would read the files of every organization to answer it.
    has_file = Q(pk=Subquery(files.values("job_id")[:1]))
    return Found(jobs.filter(Q(name__icontains=filters.q) | has_file), older_from)


def _moment(text: str) -> datetime | None:
    """The moment that a link of the list wrote; None for anything else."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment and is_storable(moment) else None
