"""Taking files in: a job, its files, and what of them was read before."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import BooleanField, ExpressionWrapper, F, Q, QuerySet
from django.db.models.functions import Now

from apps.accounts.actor import Actor
from apps.accounts.models import Organization
from apps.audit.services import record
from apps.core.deadline import unhurried
from apps.core.errors import FieldError
from apps.core.metrics import on_commit
from apps.core.sealing import Unsealable, seal, unseal
from apps.jobs import storage
from apps.jobs.counters import jobs_changed
from apps.jobs.errors import AllRejected, IdempotencyMismatch, NoFiles, require_batches
from apps.jobs.metrics import FILES_ENDED, FILES_SUBMITTED, JOBS_SUBMITTED
from apps.jobs.models import BatchFile, BatchJob, IdempotencyKey
from apps.jobs.news import tell_on_commit
from apps.jobs.operations import lane_of
from apps.jobs.services import following, reuse
from apps.jobs.services.closing import close_if_done
from apps.jobs.services.uploading import use_uploads
from apps.jobs.states import DUPLICATE, REJECTED, JobState
from apps.jobs.upload import Received
from apps.processors import registry
from apps.processors.errors import BadDocument
from apps.processors.protocol import Options
from apps.queue.doorbell import ring_on_commit
from apps.queue.lanes import take_ranks
from apps.queue.models import Priority
from apps.queue.states import State

PASSWORD = "password of a job's documents"  # noqa: S105 (names what is sealed, is no password)


KEY_KEPT_FOR = timedelta(hours=24)
"""How long a request with the same Idempotency-Key gets the first one's answer."""


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

    A file with a problem becomes a `rejected` row. Raises Forbidden, BatchesOff, NoFiles,
    UploadGone, or AllRejected when nothing is left to do; then nothing is stored.
    """
    actor.require("create", "jobs")
    require_batches()
    if not files:
        raise NoFiles('Send at least one file in the field "file", or an id in "upload_ids".')
    refuse_what_no_processor_takes(submission.operation, files)
    problems = [each for each in files if each.problem is not None]
    if len(problems) == len(files):
        raise AllRejected(
            "No file was accepted and nothing was stored.",
            errors=[
                FieldError(f.name, f.problem.code, f.problem.detail) for f in problems if f.problem
            ],
        )
    if not connection.in_atomic_block:
        bring(actor.organization, files, submission.operation, submission.options)
    with transaction.atomic():
        use_uploads(actor, [each.upload_id for each in files if each.upload_id])
        job: BatchJob = BatchJob.objects.create(
            organization=actor.organization,
            created_by=actor.user,
            name=submission.name,
            operation=submission.operation,
            options=submission.options.to_json(),
            sealed_password=sealed(submission.options.password),
            priority=submission.priority,
            total=len(files),
            rejected=len(problems),
        )
        on_commit(JOBS_SUBMITTED, job.operation)
        add_files(job, file_rows(job, files, options=submission.options))
        close_if_done(job.pk)
        tell_on_commit(job.pk)
        jobs_changed(job.organization_id)
        job.refresh_from_db()
        record(
            organization=actor.organization,
            actor=actor.user,
            action="job.submit",
            target="job",
            target_id=job.pk,
            detail={"files": job.total, "operation": job.operation},
        )
    return job


def add_files(job: BatchJob, rows: Sequence[BatchFile]) -> None:
    """Stores `rows`, which are counted in the job's total and rejected already, and rings for
    those that can start. What was read before has its result at once. In the caller's transaction.
    """
    BatchFile.objects.bulk_create(rows)
    on_commit(FILES_SUBMITTED, job.operation, count=len(rows))
    for state in (REJECTED, DUPLICATE):  # they ended before they began
        ended = sum(row.state == state for row in rows)
        on_commit(FILES_ENDED, job.operation, state, count=ended)
    reused = reuse.copy_results(rows)
    if reused:
        BatchJob.objects.filter(pk=job.pk).update(
            succeeded=F("succeeded") + reused, duplicates=F("duplicates") + reused
        )
    ring_on_commit(lane_of(job.operation), sum(is_waiting(row) for row in rows))
    following.raise_leaders_on_commit(rows)
    # They may have ended since they were looked at.
    following.follow_up_on_commit(*{row.waits_for_id for row in rows if row.waits_for_id})


def is_waiting(row: BatchFile) -> bool:
    """Whether a worker may take it now."""
    return row.state == State.QUEUED and not row.is_held


def sealed(password: str) -> str:
    return seal(password, purpose=PASSWORD) if password else ""


def password_of(job: BatchJob) -> str:
    """What opens its documents, to be hidden where it may have come out; "" where there is none,
    or none can be read any more."""
    try:
        return options_of(job).password
    except Unsealable:
        return ""


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
    bring(actor.organization, files, submission.operation, submission.options)
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


def is_known(*, actor: Actor, route: str, key: str) -> bool:
    """Whether a request with this key was answered before: the next makes no job."""
    mine = _with_key(actor, route, key).filter(created_at__gte=Now() - KEY_KEPT_FOR)
    return bool(key) and bool(mine.exists())


def _with_key(actor: Actor, route: str, key: str) -> QuerySet[IdempotencyKey]:
    keys = IdempotencyKey.objects.in_organization(actor.organization)
    return keys.filter(user=actor.user, route=route, key=key)


def _replay(actor: Actor, replayable: Replayable) -> dict[str, Any] | None:
    mine = _with_key(actor, replayable.route, replayable.key)
    is_over = Q(created_at__lt=Now() - KEY_KEPT_FOR)
    known = mine.annotate(is_over=ExpressionWrapper(is_over, BooleanField())).first()
    if known is None:
        return None
    if known.is_over:
        mine.filter(is_over, pk=known.pk).delete()
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
    job: BatchJob,
    files: Sequence[Received],
    *,
    options: Options,
    parent: BatchFile | None = None,
    first: int = 1,
) -> list[BatchFile]:
    """Rows for `files` in their order from position `first` on, their bytes in place; `parent` is
    what they were found in. Call it in the transaction that stores them."""
    blobs = storage.put_all(job.organization, _arrived(files))
    is_held = job.state == JobState.PAUSED
    rows = []
    for position, each in enumerate(files, start=first):
        row = _row(job, each, parent)
        row.position = position
        if each.problem is None:
            row.content, row.is_held = blobs[each.sha256], is_held
            row.work_key = reuse.work_key(job.operation, options, row)
        else:
            row.state = REJECTED
            row.finished_at = parent.finished_at if parent else job.created_at
            row.error_class = "permanent"
            row.error_code, row.error_detail = each.problem.code[:64], each.problem.detail[:500]
        rows.append(row)
    reuse.find_originals(job, rows)
    in_line = [row for row in rows if row.state == State.QUEUED]
    for row, rank in zip(in_line, ranks_for(job, len(in_line)), strict=True):
        row.fair_rank = rank
    return rows


def bring(
    organization: Organization, files: Iterable[Received], operation: str, options: Options
) -> None:
    """Has their bytes on their way to where they will be put in place, and looks at those of what
    was read of their like; before the transaction that stores `files`. Raises StorageUnavailable.
    """
    taken = [each for each in files if each.path and not each.problem]
    with unhurried():
        for each, brought in zip(taken, storage.bring(organization, _arrived(taken)), strict=True):
            each.blob_id = brought.blob_id
        rows = [BatchFile(kind=each.kind, sha256=each.sha256) for each in taken]
        reuse.look_ahead(organization.pk, {reuse.work_key(operation, options, row) for row in rows})


def _arrived(files: Iterable[Received]) -> list[storage.Incoming]:
    return [
        storage.Incoming(each.path, each.sha256, each.size_bytes, each.blob_id)
        for each in files
        if each.path and not each.problem
    ]


def _row(job: BatchJob, each: Received, parent: BatchFile | None) -> BatchFile:
    return BatchFile(
        organization=job.organization,
        job=job,
        parent=parent,
        depth=parent.depth + 1 if parent else 0,
        name=each.name,
        kind=each.kind,
        content_type=each.content_type,
        size_bytes=each.size_bytes,
        sha256=each.sha256,
        lane=lane_of(job.operation),
        priority=job.priority,
        available_at=Now(),  # the clock by which it will be claimed
    )


def ranks_for(job: BatchJob, count: int) -> list[float]:
    """So many places in line for files of the job."""
    return take_ranks(
        BatchFile,
        organization=job.organization,
        lane=lane_of(job.operation),
        priority=job.priority,
        count=count,
    )
