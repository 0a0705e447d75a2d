"""What people do to a job, or to some files of it: cancel, pause, resume, move up, keep.

Each takes `only`, files of the job: then it is done to these alone, and the rest stays as it is.
"""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.actor import Actor
from apps.audit.services import record
from apps.core.errors import NotFound
from apps.core.metrics import on_commit
from apps.core.transactions import repeated
from apps.jobs.errors import FileRunning, JobFinished, JobUnfinished, NothingToDiscard
from apps.jobs.metrics import FILES_ENDED
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.news import tell_on_commit
from apps.jobs.services import following, reuse
from apps.jobs.services.closing import close_if_done
from apps.jobs.states import OPEN, JobState
from apps.queue.doorbell import ring_on_commit
from apps.queue.lanes import catch_up
from apps.queue.models import Priority
from apps.queue.states import READY, UNFINISHED, State


@repeated
def cancel_job(*, actor: Actor, job: BatchJob, only: Sequence[BatchFile] = ()) -> BatchJob:
    """Stops the job: waiting files at once, running ones as soon as their worker sees it.

    Finished results stay. Raises Forbidden or JobFinished.
    """
    actor.require("update", "jobs", created_by_id=job.created_by_id)
    with transaction.atomic():
        files = chosen(all_locked(job), only)
        if not any(file.state in UNFINISHED for file in files):
            raise JobFinished("There is nothing left to cancel.")
        mine = _rows(files)
        stopped = [file.pk for file in files if file.state in READY]
        cancelled = mine.filter(state__in=READY).update(
            state=State.CANCELLED, finished_at=Now(), waits_for=None, is_held=False
        )
        mine.filter(state=State.RUNNING).update(cancel_requested=True)
        BatchJob.objects.filter(pk=job.pk, state__in=OPEN).update(
            cancelled=F("cancelled") + cancelled,
            revision=F("revision") + 1,
            **({} if only else {"state": JobState.CANCELLING}),
        )
        tell_on_commit(job.pk)
        on_commit(FILES_ENDED, job.operation, State.CANCELLED, count=cancelled)
        close_if_done(job.pk, by=actor.user)
        following.follow_up_on_commit(*stopped)
        note(actor, job, "job.cancel", only)
        job.refresh_from_db()
    return job


@repeated
def pause_job(
    *, actor: Actor, job: BatchJob, reason: str = "", only: Sequence[BatchFile] = ()
) -> BatchJob:
    """Starts nothing more of the job until it is resumed; what runs goes on. Twice is once.

    Raises Forbidden, JobFinished when nothing waits or runs, or FileRunning for files of `only`
    that run: they cannot be held by themselves.
    """
    actor.require("update", "jobs", created_by_id=job.created_by_id)
    with transaction.atomic():
        files = _unfinished(job, only, otherwise="There is nothing left to pause.")
        running = [file.name for file in files if file.state == State.RUNNING]
        if only and running:
            raise FileRunning(f"{running[0]} is being read. Cancel it, or wait for its end.")
        held = _hold(files, by_themselves=bool(only))
        if not only:
            _note_pause(job, actor, reason)
        else:
            touch(job)
        following.follow_up_on_commit(*held)
        note(actor, job, "job.pause", only, reason=reason[:200])
        job.refresh_from_db()
    return job


def _hold(files: Sequence[BatchFile], *, by_themselves: bool) -> list[UUID]:
    """Holds back those of the locked `files` that wait; which these are.

    One that is paused by itself waits for nobody: else it would go on with the file it waits for.
    """
    held = [file.pk for file in files if file.state in READY]
    alone = {"waits_for": None} if by_themselves else {}
    _rows(files).filter(state__in=READY).update(is_held=True, **alone)
    return held


def _note_pause(job: BatchJob, actor: Actor, reason: str) -> None:
    pausable = (JobState.QUEUED, JobState.RUNNING)
    BatchJob.objects.filter(pk=job.pk, state__in=pausable).update(paused_at=Now())
    BatchJob.objects.filter(pk=job.pk, state__in=(*pausable, JobState.PAUSED)).update(
        state=JobState.PAUSED,
        paused_by=actor.user,
        pause_reason=reason[:200],
        revision=F("revision") + 1,
    )
    tell_on_commit(job.pk)


@repeated
def resume_job(*, actor: Actor, job: BatchJob, only: Sequence[BatchFile] = ()) -> BatchJob:
    """Goes on with a paused job, or with paused files of one. Twice is once.

    Raises Forbidden, or JobFinished when nothing waits or runs.
    """
    actor.require("update", "jobs", created_by_id=job.created_by_id)
    with transaction.atomic():
        reuse.lock_bytes(BatchFile.objects.ready().filter(job=job, is_held=True))
        files = _unfinished(job, only, otherwise="There is nothing left to resume.")
        waiting = [file for file in files if file.state in READY and file.is_held]
        own = following.wait_for_likes([file for file in waiting if not file.waits_for_id])
        # The leader of a follower may be held as well, and stay so.
        following.follow_up_on_commit(*{file.waits_for_id for file in waiting if file.waits_for_id})
        lanes = [file.lane for file in own]
        if not only:
            _end_pause(job)
        touch(job)
        _let_go(job, own)
        for lane in set(lanes):
            ring_on_commit(lane, lanes.count(lane))
        note(actor, job, "job.resume", only)
        job.refresh_from_db()
    return job


def _let_go(job: BatchJob, files: Sequence[BatchFile]) -> None:
    """Each goes on from its place in line, or from where the line is now. Last of the writes: it
    holds places in line, for which others wait."""
    for lane, priority in sorted({(file.lane, file.priority) for file in files}):
        rows = _rows([file for file in files if (file.lane, file.priority) == (lane, priority)])
        catch_up(rows, organization=job.organization, lane=lane, priority=priority)
    _rows(files).update(is_held=False)


def _end_pause(job: BatchJob) -> None:
    current = locked(job)
    if current.state != JobState.PAUSED:
        return
    lasted = 0.0
    if current.paused_at and current.started_at:  # what was before the start is in no pace
        since = max(current.paused_at, current.started_at)
        lasted = (timezone.now() - since).total_seconds()
    BatchJob.objects.filter(pk=job.pk).update(
        state=JobState.RUNNING if current.started_at else JobState.QUEUED,
        paused_seconds=F("paused_seconds") + max(0.0, lasted),
        paused_at=None,
        paused_by=None,
        pause_reason="",
    )


@repeated
def prioritize_job(
    *, actor: Actor, job: BatchJob, priority: Priority, only: Sequence[BatchFile] = ()
) -> BatchJob:
    """Gives the job, or files of it, another priority; it counts from the next free slot on.

    Raises Forbidden, or JobFinished when nothing waits or runs.
    """
    actor.require("update", "jobs", created_by_id=job.created_by_id)
    with transaction.atomic():
        files = _unfinished(job, only, otherwise="There is nothing left to move.")
        for file in files:
            file.priority = priority
        _rows(files).filter(state__in=UNFINISHED).update(priority=priority)
        following.raise_leaders_on_commit(files)
        if not only:
            BatchJob.objects.filter(pk=job.pk).update(priority=priority)
        touch(job)
        note(actor, job, "job.prioritize", only, priority=priority.label)
        job.refresh_from_db()
    return job


def keep_job(*, actor: Actor, job: BatchJob, kept: bool) -> BatchJob:
    """Keeps the job from cleanup, however old it gets, or lets go of it. Raises Forbidden."""
    actor.require("update", "jobs", created_by_id=job.created_by_id)
    with transaction.atomic():
        BatchJob.objects.filter(pk=locked(job).pk).update(is_kept=kept, revision=F("revision") + 1)
        tell_on_commit(job.pk)
        note(actor, job, "job.keep" if kept else "job.let_go")
        job.refresh_from_db()
    return job


def discard_job(*, actor: Actor, job: BatchJob) -> BatchJob:
    """Says of a job that ended badly that nobody needs to look any more: it is left out of what
    failed lately, and stays readable. Raises Forbidden, JobUnfinished or NothingToDiscard."""
    actor.require("update", "jobs", created_by_id=job.created_by_id)
    with transaction.atomic():
        current = locked(job)
        if current.state in OPEN:
            raise JobUnfinished("Wait for the job to finish, or cancel it first.")
        if current.state not in (JobState.FAILED, JobState.PARTIAL):
            raise NothingToDiscard("No file of this job failed.")
        BatchJob.objects.filter(pk=job.pk, discarded_at=None).update(
            discarded_at=Now(), revision=F("revision") + 1
        )
        tell_on_commit(job.pk)
        note(actor, job, "job.discard")
        job.refresh_from_db()
    return job


def all_locked(job: BatchJob) -> list[BatchFile]:
    """The job's files, locked. A container for whose lock this waited may have brought others, so
    they are read until there are no more: without an unlocked container none can come."""
    files: list[BatchFile] = []
    known = -1
    while len(files) != known:
        known = len(files)
        rows = BatchFile.objects.select_for_update(no_key=True).filter(job=job)
        files = list(rows.order_by("id"))
    return files


def chosen(files: list[BatchFile], only: Sequence[BatchFile]) -> list[BatchFile]:
    """Those of `files` that are in `only`; all where that is empty."""
    wanted = {file.pk for file in only}
    return [file for file in files if not only or file.pk in wanted]


def _unfinished(job: BatchJob, only: Sequence[BatchFile], *, otherwise: str) -> list[BatchFile]:
    """The locked files that are meant. Raises JobFinished(otherwise) when all of them ended."""
    files = chosen(all_locked(job), only)
    if not any(file.state in UNFINISHED for file in files):
        raise JobFinished(otherwise)
    return files


def _rows(files: Sequence[BatchFile]) -> QuerySet[BatchFile]:
    rows: QuerySet[BatchFile] = BatchFile.objects.filter(pk__in=[file.pk for file in files])
    return rows


def note(
    actor: Actor,
    job: BatchJob,
    action: str,
    only: Sequence[BatchFile] = (),
    *,
    reason: str = "",
    **detail: object,
) -> None:
    """Records what was done to the job, or to `only` those files of it. Last in its transaction."""
    if only:
        detail["files"] = [str(file.pk) for file in only]
    if actor.work_id:
        detail["work"] = actor.work_id
    record(
        organization=actor.organization,
        actor=actor.user,
        action=action,
        target="job",
        target_id=job.pk,
        reason=reason,
        detail=detail,
    )


def touch(job: BatchJob) -> None:
    """Tells who watches the job that something of it changed."""
    BatchJob.objects.filter(pk=job.pk).update(revision=F("revision") + 1)
    tell_on_commit(job.pk)


def locked(job: BatchJob) -> BatchJob:
    """The job as it is now, locked. Raises NotFound when somebody deleted it meanwhile."""
    jobs = BatchJob.objects.select_for_update(no_key=True)
    current: BatchJob | None = jobs.filter(pk=job.pk).first()
    if current is None:
        raise NotFound("There is no such job.")
    return current
