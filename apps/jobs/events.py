"""What a stream of events tells, and what it keeps for who reads slowly: of each job the latest.

id: 17                          of one job: its revision; of a list: what it was like
event: job                      or `jobs`, a list's; `gone`; `still`, told of while nothing is
data: {"revision": 17, ...}
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

MAX_TOLD = 100
"""Jobs in one event of a list. Of more it says so, and the list itself is to be read."""
STILL = b": still here\nevent: still\ndata: {}\n\n"
"""As a comment for programs, and as an event for pages, whose scripts see no comments."""


def opening(retry_seconds: int) -> bytes:
    """How a stream begins: when to come back after its end, and that it gets through."""
    return b"retry: %d\n\n" % (retry_seconds * 1000) + STILL


def event(kind: str, data: str, identifier: str) -> bytes:
    """`data` has no line breaks, as JSON has none that is not asked to."""
    return f"id: {identifier}\nevent: {kind}\ndata: {data}\n\n".encode()


@dataclass(frozen=True)
class Told:
    """One job at one moment; `data` is JSON."""

    job_id: UUID
    organization_id: UUID
    revision: int
    is_closed: bool
    data: str


@dataclass(frozen=True)
class Look:
    """What is new for those who watch the same: jobs, those that are gone, and of an organization
    what its list is like now. The first of a list is of all that is open or has just ended."""

    jobs: Sequence[Told] = ()
    gone: Iterable[UUID] = ()
    mark: str = ""
    is_first: bool = False


@dataclass(eq=False)
class Watch:
    """What one stream still has to tell. Of one job where `job_id` is given, else of all that the
    organization has open; `known` is what its reader had before, as the last `id` said it.

    Filled and emptied on the stream's own event loop, which it belongs to once `begin` was called
    there.
    """

    user_id: int
    organization_id: UUID
    job_id: UUID | None = None
    known: str = ""
    is_fresh: bool = True  # nobody has looked for it yet
    is_over: bool = False
    _jobs: dict[UUID, Told] = field(default_factory=dict)
    _gone: set[UUID] = field(default_factory=set)
    _has_more: bool = False

    def begin(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._news = asyncio.Event()

    @property
    def revision(self) -> int:
        """Of its one job, what its reader knows; 0 for nothing."""
        return int(self.known) if self.known.isascii() and self.known.isdecimal() else 0

    def put(self, look: Look) -> None:
        """The latest of each job takes the place of what was not told yet."""
        if self.job_id is not None:
            self._jobs |= {job.job_id: job for job in look.jobs if job.revision > self.revision}
        else:
            knows_all = look.is_first and look.mark == self.known
            self.known = look.mark
            # All or nothing: what a reader knows and a first event lacks has ended, for them.
            if not knows_all or any(job.is_closed for job in look.jobs):
                self._jobs |= {job.job_id: job for job in look.jobs}
        self._gone |= set(look.gone)
        self._keep_within_bounds()
        if self._jobs or self._gone:
            self._news.set()

    def end(self) -> None:
        """Nothing more is told."""
        self.is_over = True
        self._news.set()

    async def wait(self, seconds: float) -> None:
        """Until there is something to tell, or it is over, and so long at most."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    def take(self) -> bytes:
        """What there is to tell, which then is told; b"" for nothing. The end of a job, or that it
        is gone, is the end of its stream."""
        self._news.clear()
        jobs, gone, has_more = list(self._jobs.values()), self._gone, self._has_more
        self._jobs, self._gone, self._has_more = {}, set(), False
        if self.job_id is None:
            return self._of_list(jobs, gone, has_more=has_more) if jobs or gone else b""
        if gone:
            self.is_over = True
            return event("gone", json.dumps({"id": str(self.job_id)}), self.known)
        if not jobs:
            return b""
        self.known = str(jobs[-1].revision)
        self.is_over = self.is_over or jobs[-1].is_closed
        return event("job", jobs[-1].data, self.known)

    def _of_list(self, jobs: Sequence[Told], gone: set[UUID], *, has_more: bool) -> bytes:
        told = ",".join(job.data for job in jobs)
        left = json.dumps(sorted(map(str, gone)))
        more = json.dumps(has_more)
        return event("jobs", f'{{"jobs":[{told}],"gone":{left},"more":{more}}}', self.known)

    def _keep_within_bounds(self) -> None:
        while len(self._jobs) > MAX_TOLD:
            del self._jobs[next(iter(self._jobs))]
            self._has_more = True
        while len(self._gone) > MAX_TOLD:
            self._gone.pop()
            self._has_more = True


def data_of(job: Any, live: Any) -> str:
    """What is told of a job: the same numbers as the API has, by the same names."""
    told = {
        "id": str(job.pk),
        "state": job.state,
        "run": job.run,
        "revision": job.revision,
        "counts": live.counts,
        "progress": live.progress,
        "eta_seconds": live.eta_seconds,
    }
    return json.dumps(told, separators=(",", ":"))
