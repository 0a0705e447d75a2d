"""The start page: what runs, what failed, what is new."""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.accounts.actor import Actor
from apps.accounts.models import Organization
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.states import JobState
from apps.queue.states import READY, UNFINISHED
from apps.ratelimits.decorators import limited
from apps.web.access import members_only
from apps.web.filters import GROUPS, NEWEST_FIRST
from apps.web.holds import Hold, holds_of_lanes
from apps.web.rows import fills, fingerprint, nobody_works, reasons_of, rows_of

SHOWN = 6
COUNTED = 100
"""Of the jobs in progress that are not shown, how many are counted at most."""
FAILED_DAYS = 7
"""Failures of longer ago are found in the list; here they would only be in the way."""
WITH_RESULTS = (JobState.SUCCEEDED, JobState.PARTIAL)


@dataclass(frozen=True)
class Overview:
    """The newest jobs of each kind, of those in progress first what has started; seven queries, and
    one more while something is paused by somebody.

    `others` says how many more are in progress, "" for none; `is_stuck` that no worker takes them;
    `holds` tells the pauses of the queue that hold any of them back.
    """

    running: list[BatchJob]
    failed: list[BatchJob]
    new: list[BatchJob]
    others: str
    is_stuck: bool
    holds: list[Hold]

    @classmethod
    def of(cls, organization: Organization) -> "Overview":
        jobs = BatchJob.objects.in_organization(organization)
        ended = jobs.order_by("-finished_at")
        recently = timezone.now() - timedelta(days=FAILED_DAYS)
        failed = ended.filter(
            state__in=sorted(GROUPS["failed"][1]), finished_at__gte=recently, discarded_at=None
        )
        started_first = F("started_at").desc(nulls_last=True)
        running = list(jobs.open().order_by(started_first, *NEWEST_FIRST)[:SHOWN])
        files = BatchFile.objects.filter(job__in=running, state__in=UNFINISHED)
        unfinished = list(files.order_by().values_list("state", "lane").distinct())
        return cls(
            running,
            list(failed[:SHOWN]),
            list(ended.filter(state__in=WITH_RESULTS)[:SHOWN]),
            _others(jobs.open()[: SHOWN + COUNTED + 1].count() - SHOWN),
            nobody_works(unfinished),
            holds_of_lanes(organization, {lane for state, lane in unfinished if state in READY}),
        )

    @property
    def jobs(self) -> list[BatchJob]:
        return self.running + self.failed + self.new

    @property
    def fingerprint(self) -> str:
        # A job that moves from one list to another has a new revision.
        return fingerprint(self.jobs, self.others, self.is_stuck, self.holds)


@require_safe
@limited("api", fragments="live")
@members_only
def dashboard(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The page, or for a page that is open its lists alone: 204 when they are as they were `seen`.

    A fixed number of queries.
    """
    actor.require("read", "jobs")
    overview = Overview.of(actor.organization)
    is_part = fills(request, "overview")
    if is_part and request.GET.get("seen") == overview.fingerprint:
        return HttpResponse(status=204)
    template = "web/_overview.html" if is_part else "web/dashboard.html"
    return render(request, template, _context(request, actor, overview))


def _context(request: HttpRequest, actor: Actor, overview: Overview) -> dict[str, object]:
    rows = rows_of(overview.jobs, reasons=reasons_of(overview.failed))
    first, second = len(overview.running), len(overview.running) + len(overview.failed)
    return {
        "overview": overview,
        "running": rows[:first],
        "failed": rows[first:second],
        "new": rows[second:],
        "failed_days": FAILED_DAYS,
        "has_jobs": bool(rows) or _has_any(actor.organization),
        "upload_url": request.build_absolute_uri(reverse("batch-upload")),
    }


def _others(count: int) -> str:
    """How many jobs in progress are not shown, in words; "" for none."""
    if count > COUNTED:
        return f"More than {COUNTED} others"
    return f"{count} more" if count > 0 else ""


def _has_any(organization: Organization) -> bool:
    return bool(BatchJob.objects.in_organization(organization).exists())
