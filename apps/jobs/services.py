"""Every write that spans rows of a job. Locks are taken in one order: files, then the job."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from apps.accounts.actor import Actor
from apps.core.errors import FieldError, NotFound
from apps.core.sealing import seal, unseal
from apps.jobs import storage
from apps.jobs.errors import (
    AllRejected,
    IdempotencyMismatch,
    JobFinished,
    JobUnfinished,
    NoFiles,
    NothingToRetry,
)
from apps.jobs.models import BatchFile, BatchJob, IdempotencyKey
from apps.jobs.operations import lane_of
from apps.jobs.states import CLOSED, COUNTED, OPEN, REJECTED, JobState, outcome
from apps.jobs.upload import Received
from apps.processors import registry
from apps.processors.errors import BadDocument
from apps.processors.protocol import Options
from apps.queue.doorbell import ring_on_commit
from apps.queue.lanes import take_ranks
from apps.queue.models import Priority
from apps.queue.states import READY, State

logger = logging.getLogger(__name__)

PASSWORD = "password of a job's documents"  # noqa: S105 (names what is sealed, is no password)


@dataclass(frozen=True)
class Submission:
    """What is asked for: the parts of a job that its submitter chooses."""

    operation: str
    options: Options
    priority: Priority
    name: str = ""


@dataclass(frozen=True)
class Replayable:
    """An Idempotency-Key: `fingerprint` is a hash of the request, `answer` makes its response."""

    route: str
    key: str
    fingerprint: str
    answer: Callable[[BatchJob], dict[str, Any]]


def submit_job(*, actor: Actor, submission: Submission, files: list[Received]) -> BatchJob:
    """Stores the job and its files durably and rings for workers once that is committed.

    A file with a problem becomes a `rejected` row. Raises Forbidden, NoFiles, or AllRejected when
    nothing is left to do; then nothing is stored.
    """
    actor.require("create", "jobs")
    if not files:
        raise NoFiles('Send at least one file in the field "file".')
    refuse_what_no_processor_takes(submission.operation, files)
    problems = [each for each in files if each.problem is not None]
    if len(problems) == len(files):
        raise AllRejected(
            "No file was accepted and nothing was stored.",
            errors=[
                FieldError(f.name, f.problem.code, f.problem.detail) for f in problems if f.problem
            ],
        )
    with transaction.atomic():
        job = BatchJob.objects.create(
            organization=actor.organization,
            created_by=actor.user,
            name=submission.name,
            operation=submission.operation,
            options=submission.options.to_json(),
            sealed_password=_sealed(submission.options.password),
            priority=submission.priority,
            total=len(files),
            rejected=len(problems),
        )
        BatchFile.objects.bulk_create(file_rows(job, files))
        ring_on_commit(lane_of(job.operation), len(files) - len(problems))
    return job


def _sealed(password: str) -> str:
    return seal(password, purpose=PASSWORD) if password else ""


def options_of(job: BatchJob) -> Options:
    """The job's options, its password opened. Raises Unsealable."""
    password = unseal(job.sealed_password, purpose=PASSWORD) if job.sealed_password else ""
    return replace(Options.parse(job.options), password=password)


def submit_once(
    *, actor: Actor, submission: Submission, files: list[Received], replayable: Replayable
) -> tuple[dict[str, Any], bool]:
    """Like `submit_job`, once per key: the answer, and whether it is a replay.

    Of any number of requests with one key, at the same moment too, one makes the job and all get
    its answer. Raises IdempotencyMismatch when the key was used with another request.
    """
    known = _replay(actor, replayable)
    if known is not None:
        return known, True
    try:
        with transaction.atomic():
            # First, so that the loser of a race has put no bytes in place yet.
            key = IdempotencyKey.objects.create(
                organization=actor.organization,
                user=actor.user,
                route=replayable.route,
                key=replayable.key,
                fingerprint=replayable.fingerprint,
                response={},
            )
            job = submit_job(actor=actor, submission=submission, files=files)
            answer = replayable.answer(job)
            IdempotencyKey.objects.filter(pk=key.pk).update(response=answer, job=job)
    except IntegrityError:
        # Somebody with the same key was quicker; the unique constraint took this job back.
        known = _replay(actor, replayable)
        if known is None:
            raise
        return known, True
    return answer, False


def _replay(actor: Actor, replayable: Replayable) -> dict[str, Any] | None:
    known = (
        IdempotencyKey.objects.in_organization(actor.organization)
        .filter(user=actor.user, route=replayable.route, key=replayable.key)
        .first()
    )
    if known is None:
        return None
    if known.fingerprint != replayable.fingerprint:
        raise IdempotencyMismatch("Use a new key for a new request.")
    response: dict[str, Any] = known.response
    return response


def refuse_what_no_processor_takes(operation: str, files: Iterable[Received]) -> None:
    """Marks those of `files` that nothing here does `operation` with."""
    for each in files:
        if each.problem is None:
            try:
                registry.processor_path_for(operation, each.kind)
            except BadDocument as problem:
                each.problem = problem


def file_rows(
    job: BatchJob, files: Sequence[Received], *, parent: BatchFile | None = None, first: int = 1
) -> list[BatchFile]:
    """Rows for `files` in their order from position `first` on, their bytes in place; `parent` is
    what they were found in. Call it in the transaction that stores them."""
    accepted = sorted((f for f in files if f.path and not f.problem), key=lambda f: f.sha256)
    blobs = {}
    for each in accepted:  # in one order everywhere, so that two submissions cannot deadlock
        assert each.path is not None
        blobs[id(each)] = storage.put(
            job.organization, each.path, sha256=each.sha256, size_bytes=each.size_bytes
        )
    lane = lane_of(job.operation)
    ranks = iter(_ranks(job, lane, len(accepted)))
    rows = []
    for position, each in enumerate(files, start=first):
        row = BatchFile(
            organization=job.organization,
            job=job,
            parent=parent,
            depth=parent.depth + 1 if parent else 0,
            position=position,
            name=each.name,
            kind=each.kind,
            content_type=each.content_type,
            size_bytes=each.size_bytes,
            sha256=each.sha256,
            lane=lane,
            priority=job.priority,
            available_at=Now(),  # the clock by which it will be claimed
        )
        if each.problem is None:
            row.content, row.fair_rank = blobs[id(each)], next(ranks)
        else:
            row.state = REJECTED
            row.finished_at = parent.finished_at if parent else job.created_at
            row.error_class = "permanent"
            row.error_code, row.error_detail = each.problem.code[:64], each.problem.detail[:500]
        rows.append(row)
    return rows


def _ranks(job: BatchJob, lane: str, count: int) -> list[float]:
    return take_ranks(
        BatchFile, organization=job.organization, lane=lane, priority=job.priority, count=count
    )


def close_if_done(job_id: UUID) -> None:
    """Closes the job if all its files have ended. Call it after the update that locks its row."""
    job = BatchJob.objects.get(pk=job_id)
    state = outcome(job.counts, job.total)
    if state is None:
        return
    closed = BatchJob.objects.filter(pk=job.pk, state__in=OPEN).update(
        state=state, finished_at=Now(), revision=F("revision") + 1
    )
    if closed:
        logger.info("job %s is %s: %s", job.pk, state, job.counts)


def recount(job_id: UUID) -> None:
    """Sets the job's counters to what its files say and closes it if all have ended."""
    with transaction.atomic():
        BatchJob.objects.select_for_update().get(pk=job_id)
        states = BatchFile.objects.filter(job_id=job_id).values_list("state", flat=True)
        counts = Counter(states)
        BatchJob.objects.filter(pk=job_id).update(
            **{state: counts[state] for state in COUNTED},
            total=counts.total(),
            revision=F("revision") + 1,
        )
        close_if_done(job_id)


def cancel_job(*, actor: Actor, job: BatchJob) -> BatchJob:
    """Stops the job: waiting files at once, running ones as soon as their worker sees it.

    Finished results stay. Raises Forbidden or JobFinished.
    """
    actor.require("update", "jobs", created_by_id=job.created_by_id)
    with transaction.atomic():
        if not any(file.state in (*READY, State.RUNNING) for file in _all_locked(job)):
            raise JobFinished("There is nothing left to cancel.")
        waiting = BatchFile.objects.filter(job=job, state__in=READY)
        cancelled = waiting.update(state=State.CANCELLED, finished_at=Now())
        BatchFile.objects.filter(job=job, state=State.RUNNING).update(cancel_requested=True)
        BatchJob.objects.filter(pk=job.pk, state__in=OPEN).update(
            state=JobState.CANCELLING,
            cancelled=F("cancelled") + cancelled,
            revision=F("revision") + 1,
        )
        close_if_done(job.pk)
        job.refresh_from_db()
    return job


def _all_locked(job: BatchJob) -> list[BatchFile]:
    """The job's files, locked. A container for whose lock this waited may have brought others, so
    they are read until there are no more: without an unlocked container none can come."""
    files: list[BatchFile] = []
    known = -1
    while len(files) != known:
        known = len(files)
        files = list(BatchFile.objects.select_for_update().filter(job=job).order_by("id"))
    return files


def runs_again(actor: Actor) -> frozenset[State]:
    """The states of files that a retry by `actor` runs again: quarantined ones only for those who
    may change every job."""
    ended = {State.FAILED, State.CANCELLED}
    return frozenset(ended | {State.QUARANTINED} if actor.may("update", "jobs") else ended)


def retry_job(*, actor: Actor, job: BatchJob, only: Sequence[BatchFile] = ()) -> BatchJob:
    """Opens a new run for what failed or was cancelled, or for those files of `only` alone, all
    or none; the rest stays as it is.

    Which states run again is `runs_again`. Raises Forbidden, JobUnfinished, or NothingToRetry.
    """
    actor.require("update", "jobs", created_by_id=job.created_by_id)
    chosen = BatchFile.objects.filter(job=job, state__in=runs_again(actor))
    if only:
        chosen = chosen.filter(pk__in=[file.pk for file in only])
    with transaction.atomic():
        files = list(chosen.select_for_update().order_by("id"))
        current = _locked(job)
        if len(files) < len(only):
            raise NothingToRetry(_why_not(only, files))
        if current.state not in CLOSED:
            raise JobUnfinished("Wait for the job to finish, or cancel it first.")
        if not files:
            raise NothingToRetry("No file of this job failed or was cancelled.")
        _reopen(current, files)
        job.refresh_from_db()
    return job


def _locked(job: BatchJob) -> BatchJob:
    """The job as it is now, locked. Raises NotFound when somebody deleted it meanwhile."""
    current: BatchJob | None = BatchJob.objects.select_for_update().filter(pk=job.pk).first()
    if current is None:
        raise NotFound("There is no such job.")
    return current


def _why_not(only: Sequence[BatchFile], files: list[BatchFile]) -> str:
    """Why the first of `only` that is not among `files` cannot be run again."""
    state = next(file.state for file in only if file not in files)
    if state == State.QUARANTINED:
        return "The file is quarantined: an owner or admin of the organization can run it again."
    return f"The file is {state}: only failed and cancelled ones can be run again."


def _reopen(job: BatchJob, files: list[BatchFile]) -> None:
    lane = lane_of(job.operation)
    ranks = _ranks(job, lane, len(files))
    for file, rank in zip(files, ranks, strict=True):
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
            cancel_requested=False,
            stage="",
            progress=0,
            error_class="",
            error_code="",
            error_detail="",
            started_at=None,
            finished_at=None,
        )
    ended = [file.state for file in files]
    BatchJob.objects.filter(pk=job.pk).update(
        state=JobState.QUEUED,
        run=F("run") + 1,
        progress_floor=0,
        failed=F("failed") - ended.count(State.FAILED),
        cancelled=F("cancelled") - ended.count(State.CANCELLED),
        quarantined=F("quarantined") - ended.count(State.QUARANTINED),
        started_at=None,
        finished_at=None,
        revision=F("revision") + 1,
    )
    ring_on_commit(lane, len(files))


def delete_job(*, actor: Actor, job: BatchJob) -> None:
    """Deletes the job, its files, results, and bytes that nothing else uses.

    Raises Forbidden, or JobUnfinished while any file waits or runs.
    """
    actor.require("delete", "jobs", created_by_id=job.created_by_id)
    with transaction.atomic():
        files = list(
            BatchFile.objects.select_for_update(of=("self",))
            .filter(job=job)
            .order_by("id")
            .select_related("result")
        )
        current = _locked(job)
        if current.state not in CLOSED:
            raise JobUnfinished("Cancel the job first, or wait for it to finish.")
        blobs = {file.content_id for file in files if file.content_id}
        blobs = blobs.union(*(file.result.blob_ids for file in files if hasattr(file, "result")))
        current.delete()
        storage.release_on_commit(blobs)


def mark_started(job_id: UUID) -> None:
    """A file of the job was claimed."""
    BatchJob.objects.filter(pk=job_id).update(
        started_at=Coalesce("started_at", Now()), revision=F("revision") + 1
    )
    BatchJob.objects.filter(pk=job_id, state=JobState.QUEUED).update(state=JobState.RUNNING)
