"""How a job moves with its files: it starts, counts their ends, and closes once.

The file's own update and the job's are one transaction, so the lock on the job's row orders those
who end files, and exactly one of them sees the end.
"""

import logging
from collections import Counter
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from apps.accounts.models import User
from apps.core.metrics import on_commit
from apps.jobs import telling
from apps.jobs.counters import jobs_changed
from apps.jobs.metrics import FILES_ENDED, JOBS_ENDED
from apps.jobs.models import BatchFile, BatchJob, Completion, expiry
from apps.jobs.news import tell_on_commit
from apps.jobs.publishing import publish_job_end
from apps.jobs.states import COUNTED, COUNTERS, DUPLICATE, OPEN, JobState, outcome
from apps.queue.claim import CLOCK, stored
from apps.queue.states import READY, State

logger = logging.getLogger(__name__)

_TABLE = BatchJob._meta.db_table


def mark_started(job_id: UUID) -> None:
    """A file of the job was claimed."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {_TABLE} SET revision = revision + 1, "  # noqa: S608  (our own names)
            f"started_at = COALESCE(started_at, {CLOCK[connection.vendor]}), "
            f"state = CASE WHEN state = '{JobState.QUEUED}' THEN '{JobState.RUNNING}' "
            "ELSE state END WHERE id = %s",
            [stored(job_id)],
        )
    tell_on_commit(job_id)


def count_end(job_id: UUID, state: str) -> JobState:
    """A file of the job left `running` or its place in line for `state`: counts it where that is
    an end, and closes the job if it was the last. The job's state afterwards.

    Call it in the transaction of the file's own update.
    """
    added = "".join(f", {name} = {name} + 1" for name in COUNTERS.get(state, ()))
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {_TABLE} SET revision = revision + 1{added} "  # noqa: S608  (our own names)
            f"WHERE id = %s RETURNING state, total, operation, {', '.join(COUNTED)}",
            [stored(job_id)],
        )
        [(now, total, operation, *counted)] = cursor.fetchall()
    if state in COUNTERS:
        on_commit(FILES_ENDED, operation, state)
    tell_on_commit(job_id)
    if state == State.QUARANTINED:
        telling.tell_of_quarantine(BatchJob.objects.get(pk=job_id))
    if outcome(dict(zip(COUNTED, counted, strict=True)), total) is None:
        return JobState(now)
    return close_if_done(job_id)


def close_if_done(job_id: UUID, *, by: User | None = None) -> JobState:
    """Closes the job if all its files have ended, and tells who submitted it; its state afterwards.
    Call it after an update that locked its row. `by` is who cancels it just now."""
    job = BatchJob.objects.get(pk=job_id)
    state = outcome(job.counts, job.total)
    if state is None or job.state not in OPEN:
        return JobState(job.state)
    job.expires_at = expiry()
    BatchJob.objects.filter(pk=job.pk, state__in=OPEN).update(
        state=state, finished_at=Now(), expires_at=job.expires_at, revision=F("revision") + 1
    )
    _note_end(job, state)
    on_commit(JOBS_ENDED, job.operation, state)
    tell_on_commit(job_id)
    telling.tell_of_end(job, state, by=by)
    jobs_changed(job.organization_id)
    publish_job_end(job, state)
    logger.info("job %s is %s: %s", job.pk, state, job.counts)
    return state


def _note_end(job: BatchJob, state: JobState) -> None:
    # One is there where a job was opened by other means than a new run: the sweep closes it again.
    Completion.objects.bulk_create(
        [Completion(job=job, run=job.run, state=state, counts=job.counts)], ignore_conflicts=True
    )


def pause_by_system(job_id: UUID, reason: str) -> None:
    """Starts nothing more of the job until somebody resumes it. Its row is locked already, so its
    other files, which are locked before it everywhere, are held once that is committed."""
    BatchJob.objects.filter(pk=job_id, state__in=(JobState.QUEUED, JobState.RUNNING)).update(
        state=JobState.PAUSED,
        paused_at=Now(),
        paused_by=None,
        pause_reason=reason[:200],
        revision=F("revision") + 1,
    )
    tell_on_commit(job_id)
    transaction.on_commit(lambda: hold_paused(job_id), robust=True)


@transaction.atomic
def hold_paused(job_id: UUID) -> None:
    """Holds back what waits of the job, if it is paused still."""
    waiting = BatchFile.objects.filter(job=job_id, state__in=READY).order_by("id")
    files = list(waiting.select_for_update(of=("self",), no_key=True).values_list("pk", flat=True))
    job = BatchJob.objects.select_for_update().filter(pk=job_id, state=JobState.PAUSED).first()
    if job is not None:
        BatchFile.objects.filter(pk__in=files, state__in=READY).update(is_held=True)


def recount(job_id: UUID) -> None:
    """Sets the job's counters to what its files say and closes it if all have ended."""
    with transaction.atomic():
        BatchJob.objects.select_for_update().get(pk=job_id)
        states = BatchFile.objects.filter(job_id=job_id).values_list("state", flat=True)
        counts = Counter(states)
        total = counts.total()
        counts["succeeded"] += counts[DUPLICATE]
        BatchJob.objects.filter(pk=job_id).update(
            **{state: counts[state] for state in COUNTED},
            duplicates=counts[DUPLICATE],
            total=total,
            revision=F("revision") + 1,
        )
        tell_on_commit(job_id)
        close_if_done(job_id)


def set_right(job_id: UUID) -> None:
    """Recounts the job and makes its state what its files say: closes it, opens it again for one
    more run where some wait or run, or writes down an end that was not."""
    with transaction.atomic():
        recount(job_id)
        job = BatchJob.objects.get(pk=job_id)
        if job.state in OPEN:
            return
        state = outcome(job.counts, job.total)
        if state is None:
            _reopen(job)
        else:
            if BatchJob.objects.filter(pk=job.pk).exclude(state=state).update(state=state):
                telling.tell_of_end(job, state, by=None)
                publish_job_end(job, state)
            _note_end(job, state)
            jobs_changed(job.organization_id)


def _reopen(job: BatchJob) -> None:
    BatchJob.objects.filter(pk=job.pk).update(
        state=JobState.RUNNING if job.started_at else JobState.QUEUED,
        run=F("run") + 1,
        finished_at=None,
        discarded_at=None,
        revision=F("revision") + 1,
    )
    tell_on_commit(job.pk)
    jobs_changed(job.organization_id)
