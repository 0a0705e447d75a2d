"""New runs: of what failed or was cancelled, or of everything again."""

from collections.abc import Iterable, Sequence

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from apps.accounts.actor import Actor
from apps.core.context import request_id_to_keep
from apps.core.tracing import traceparent_to_keep
from apps.core.transactions import repeated
from apps.jobs import storage, telling
from apps.jobs.counters import jobs_changed
from apps.jobs.errors import JobUnfinished, NothingToRetry, require_batches
from apps.jobs.models import BatchFile, BatchJob, Checkpoint
from apps.jobs.news import tell_on_commit
from apps.jobs.operations import lane_of
from apps.jobs.services import following, reuse
from apps.jobs.services.controlling import locked, note
from apps.jobs.services.submitting import ranks_for
from apps.jobs.states import CLOSED, COUNTERS, DUPLICATE, REJECTED, JobState
from apps.queue.doorbell import ring_on_commit
from apps.queue.states import UNFINISHED, State

REQUEUE = "job.requeue"
ALL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.QUARANTINED, DUPLICATE})
"""What a requeue runs again: everything that has bytes."""


def runs_again(actor: Actor) -> frozenset[State]:
    """The states of files that a retry by `actor` runs again: quarantined ones only for those who
    may change every job."""
    ended = {State.FAILED, State.CANCELLED}
    return frozenset(ended | {State.QUARANTINED} if actor.may("update", "jobs") else ended)


def retry_job(*, actor: Actor, job: BatchJob, only: Sequence[BatchFile] = ()) -> BatchJob:
    """Opens a new run for what failed or was cancelled, or for those files of `only` alone, all
    or none; the rest stays as it is.

    Which states run again is `runs_again`. Raises Forbidden, BatchesOff, JobUnfinished, or
    NothingToRetry.
    """
    nothing = "No file of this job failed or was cancelled."
    return _run_again(actor, job, only, "job.retry", states=runs_again(actor), nothing=nothing)


def requeue_job(*, actor: Actor, job: BatchJob, only: Sequence[BatchFile] = ()) -> BatchJob:
    """Opens a new run of everything, also of what succeeded, and reads duplicates for themselves.

    What was read before stays until its file is read anew. Quarantined files are left out unless
    the actor may run them again. Raises Forbidden, BatchesOff, JobUnfinished, or NothingToRetry.
    """
    states = ALL - {State.QUARANTINED} | (ALL & runs_again(actor))
    nothing = "No file of this job can be run again."
    return _run_again(actor, job, only, REQUEUE, states=states, nothing=nothing)


@repeated
def _run_again(
    actor: Actor,
    job: BatchJob,
    only: Sequence[BatchFile],
    action: str,
    *,
    states: Iterable[str],
    nothing: str,
) -> BatchJob:
    actor.require("update", "jobs", created_by_id=job.created_by_id)
    require_batches()
    chosen = BatchFile.objects.filter(job=job, state__in=states)
    # What was taken out of one is here already, and runs again itself.
    was_opened = Exists(BatchFile.objects.filter(parent=OuterRef("pk")))
    chosen = chosen.exclude(Q(was_opened) & Q(state=State.SUCCEEDED))
    if only:
        chosen = chosen.filter(pk__in=[file.pk for file in only])
    if action != REQUEUE:
        keys = chosen.values_list("work_key", flat=True).distinct()
        reuse.look_ahead(job.organization_id, set(keys))
    with transaction.atomic():
        reuse.lock_bytes(chosen)
        files = list(chosen.select_for_update(of=("self",), no_key=True).order_by("id"))
        current = locked(job)
        if len(files) < len(only):
            raise NothingToRetry(_why_not(action, only, files))
        if current.state not in CLOSED:
            raise JobUnfinished("Wait for the job to finish, or cancel it first.")
        if not files:
            raise NothingToRetry(nothing)
        if action == REQUEUE:
            _forget_what_was_read(files)
        else:
            following.wait_for_likes(files)
        _reopen(current, files)  # last: it takes places in line, for which others wait
        note(actor, job, action, only)
        job.refresh_from_db()
    return job


def _why_not(action: str, only: Sequence[BatchFile], files: list[BatchFile]) -> str:
    """Why the first of `only` that is not among `files` cannot be run again."""
    file = next(file for file in only if file not in files)
    if file.state == State.QUARANTINED:
        return "The file is quarantined: an owner or admin of the organization can run it again."
    if file.state in UNFINISHED:
        return f"The file is {file.state}: wait for its end, or cancel it."
    if file.state == REJECTED:
        return "The file was refused at the door: submit it again."
    if action == REQUEUE:
        return "What was in the file runs again by itself: the file was opened already."
    return f"The file is {file.state}: only failed and cancelled ones can be run again."


def _reopen(job: BatchJob, files: list[BatchFile]) -> None:
    lane = lane_of(job.operation)
    for file, rank in zip(files, ranks_for(job, len(files)), strict=True):
        BatchFile.objects.filter(pk=file.pk, state=file.state).update(
            state=State.QUEUED,
            run=F("run") + 1,
            lane=lane,
            priority=job.priority,
            fair_rank=rank,
            available_at=Now(),
            failures=0,
            crashes=0,
            losses=0,
            is_heavy=False,
            is_held=file.is_held,
            cancel_requested=False,
            waits_for=file.waits_for_id,
            duplicate_of=None,
            stage="",
            progress=0,
            error_class="",
            error_code="",
            error_detail="",
            started_at=None,
            finished_at=None,
            request_id=request_id_to_keep(),
            traceparent=traceparent_to_keep(),
        )
    counters = [name for file in files for name in COUNTERS[file.state]]
    BatchJob.objects.filter(pk=job.pk).update(
        **{name: F(name) - counters.count(name) for name in set(counters)},
        state=JobState.QUEUED,
        run=F("run") + 1,
        progress_floor=0,
        request_id=request_id_to_keep(),
        started_at=None,
        finished_at=None,
        discarded_at=None,
        paused_at=None,
        paused_by=None,
        pause_reason="",
        paused_seconds=0,
        revision=F("revision") + 1,
    )
    tell_on_commit(job.pk)
    if released := counters.count(State.QUARANTINED):
        telling.tell_of_release(job, job.quarantined - released)
    jobs_changed(job.organization_id)
    ring_on_commit(lane, len(files))


def _forget_what_was_read(files: Sequence[BatchFile]) -> None:
    kept = Checkpoint.objects.filter(file__in=[file.pk for file in files])
    blobs = set(kept.values_list("content_id", flat=True))
    kept.delete()
    storage.release_on_commit(blobs)
