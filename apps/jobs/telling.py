"""Who is told of what becomes of jobs and exports, and of pauses that hold them back."""

from collections.abc import Iterable
from uuid import UUID

from apps.accounts.models import User
from apps.accounts.names import one_line
from apps.audit.models import AuditEntry
from apps.jobs.models import BatchFile, BatchJob, Export
from apps.jobs.naming import job_title
from apps.jobs.pausing import told_of
from apps.jobs.states import JobState
from apps.notifications.kinds.export_ready import EXPORT_READY
from apps.notifications.kinds.file_quarantined import FILE_QUARANTINED
from apps.notifications.kinds.job_finished import JOB_FINISHED
from apps.notifications.kinds.queue_paused import QUEUE_PAUSED
from apps.notifications.services import forget, notify, revise, roles_that_may
from apps.queue.models import Pause

RUNS = ("job.cancel", "job.retry", "job.requeue")
"""What the audit log calls the acts after which a job ends as cancelled, or anew."""


def tell_of_end(job: BatchJob, state: JobState, *, by: User | None) -> None:
    """The job, whose row is locked, has just ended as `state`: tells who submitted it, unless they
    ended it themselves. `by` is who cancelled it just now, None where that was before."""
    facts = {
        "job": str(job.pk),
        "title": _title(job),
        "state": str(state),
        "run": job.run,
        "total": job.total,
        "counts": {state: count for state, count in job.counts.items() if count},
    }
    if state is JobState.CANCELLED and _canceller(job, by) == job.created_by_id:
        revise(_end(job.pk), facts)
    elif job.created_by_id is not None:
        notify(
            kind=JOB_FINISHED.name,
            key=_end(job.pk),
            organization_id=job.organization_id,
            users=[job.created_by_id],
            facts=facts,
        )


def tell_of_quarantine(job: BatchJob) -> None:
    """A file of the job, whose row is locked, was put into quarantine: tells those who may run it
    again."""
    notify(
        kind=FILE_QUARANTINED.name,
        key=_quarantine(job.pk),
        organization_id=job.organization_id,
        roles=roles_that_may("update", "jobs"),
        facts={"job": str(job.pk), "title": _title(job), "count": job.quarantined},
    )


def tell_of_release(job: BatchJob, left: int) -> None:
    """Files of the job are out of quarantine; `left` are still in it."""
    revise(_quarantine(job.pk), {"count": left})


def forget_jobs(ids: Iterable[UUID]) -> None:
    """The jobs are gone."""
    forget([key for pk in ids for key in (_end(pk), _quarantine(pk))])


def tell_export_ready(export: Export, *, also: Iterable[int] = ()) -> None:
    """The export has just been built: tells who asked for it, `also` those who did later."""
    users = [user for user in (export.created_by_id, *also) if user is not None]
    first = export.jobs.order_by("created_at", "pk").values_list("pk", flat=True).first()
    notify(
        kind=EXPORT_READY.name,
        key=_export(export.pk),
        organization_id=export.organization_id,
        users=users,
        facts={
            "export": str(export.pk),
            "name": export.name,
            "job": str(first),
            "is_complete": export.is_complete,
        },
    )


def forget_exports(ids: Iterable[UUID]) -> None:
    """The exports are gone."""
    forget([_export(pk) for pk in ids])


def queue_paused(pause: Pause) -> None:
    """Tells those whose jobs wait because of the pause, and of a whole organization those who may
    let it go on; but not who paused."""
    waiting = BatchFile.objects.ready().exclude(job__created_by=None)
    if pause.lane:
        waiting = waiting.filter(lane=pause.lane)
    if pause.organization_id:
        waiting = waiting.filter(organization=pause.organization_id)
    found = waiting.order_by().values_list("organization_id", "job__created_by_id").distinct()
    held: dict[UUID, set[int]] = {}
    for organization_id, user_id in found:
        held.setdefault(organization_id, set()).add(user_id)
    if pause.organization_id:
        held.setdefault(pause.organization_id, set())
    for organization_id, users in held.items():
        _tell_of_pause(pause, organization_id, users)


def _tell_of_pause(pause: Pause, organization_id: UUID, users: set[int]) -> None:
    told = told_of(organization_id, pause)
    is_own = pause.organization_id is not None
    notify(
        kind=QUEUE_PAUSED.name,
        key=_pause(pause.lane, pause.organization_id),
        organization_id=organization_id,
        users=users,
        roles=roles_that_may("update", "organization") if is_own else (),
        but_not=pause.paused_by_id,
        facts={
            "scope": told.scope,
            "lane": told.lane,
            "organization": pause.organization.name if pause.organization else "",
            "by": told.by,
            "reason": told.reason,
            "is_over": False,
        },
    )


def queue_resumed(lane: str, organization_id: UUID | None) -> None:
    revise(_pause(lane, organization_id), {"is_over": True})


def _title(job: BatchJob) -> str:
    """On one line: a file that was refused for its name has it nevertheless."""
    first = None
    if not job.name:
        names = BatchFile.objects.filter(job=job, position=1).values_list("name", flat=True)
        first = names.first()
    return one_line(job_title(job.name, first or "", job.total))


def _canceller(job: BatchJob, by: User | None) -> int | None:
    """Who cancelled the job, in this run; None for nobody."""
    if by is not None:
        return by.pk
    acts = AuditEntry.objects.filter(target_id=str(job.pk), action__in=RUNS)
    last = acts.order_by("-id").values_list("action", "actor_id").first()
    return last[1] if last and last[0] == RUNS[0] else None


def _end(pk: UUID) -> str:
    return f"job:{pk}"


def _quarantine(pk: UUID) -> str:
    return f"quarantine:{pk}"


def _export(pk: UUID) -> str:
    return f"export:{pk}"


def _pause(lane: str, organization_id: UUID | None) -> str:
    """Of everybody whom the pause concerns, whatever else they are members of: once."""
    return f"pause:{organization_id or ''}:{lane}"
