"""What holds work back, as members of its organization are told it: who paused it, why, since when.

Who paused something is named to those only who share the organization with them; anybody else is
"an operator". Nobody is named where Docmill paused by itself or from its own machine's command
line, or where who did it has left for good.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.accounts.models import Membership
from apps.audit.models import AuditEntry
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.states import OPEN, JobState
from apps.queue.models import Pause
from apps.queue.states import READY

OPERATOR = "an operator"
Person = tuple[UUID, int | None]
"""An organization's id and a user's."""


@dataclass(frozen=True)
class Paused:
    """A job's own pause, or a file's."""

    by: str | None
    reason: str
    since: datetime | None


@dataclass(frozen=True)
class QueuePause:
    """A pause of the queue. `scope` is what is paused: "everything", a "lane", or the
    "organization", of which `lane` ("" for every one) may be the only lane meant."""

    scope: str
    lane: str
    by: str | None
    reason: str
    since: datetime
    until: datetime | None

    def holds(self, lane: str) -> bool:
        """Whether nothing new starts in `lane` because of it."""
        return self.lane in ("", lane)


def pauses_of_jobs(jobs: Iterable[BatchJob]) -> dict[UUID, Paused]:
    """Of those of `jobs` that are paused, by id; at most one query."""
    paused = [job for job in jobs if job.state == JobState.PAUSED]
    names = _names((job.organization_id, job.paused_by_id) for job in paused)
    return {
        job.pk: Paused(
            _named(names, (job.organization_id, job.paused_by_id)),
            job.pause_reason,
            job.paused_at,
        )
        for job in paused
    }


def pause_of_file(file: BatchFile) -> Paused | None:
    """Its own, of one that is held by itself and not with its job, as the audit log has it; at
    most two queries."""
    is_paused = file.state in READY and file.is_held and file.waits_for_id is None
    if not is_paused or file.job.state == JobState.PAUSED:
        return None
    entry = AuditEntry.objects.filter(
        action="job.pause",
        organization=file.organization_id,
        target_id=str(file.job_id),
        detail__contains=str(file.pk),
    ).last()
    if entry is None:
        return Paused(None, "", None)
    person = (file.organization_id, entry.actor_id)
    return Paused(_named(_names([person]), person), entry.reason, entry.at)


def pauses_of_queue(organization_id: UUID) -> list[QueuePause]:
    """Those in force that concern the organization, the widest first; at most two queries."""
    return _told(organization_id, list(Pause.objects.concerning([organization_id])))


def told_of(organization_id: UUID, pause: Pause) -> QueuePause:
    """`pause` as members of the organization are told it; at most one query."""
    [told] = _told(organization_id, [pause])
    return told


def was_an_operators(pause: QueuePause) -> bool:
    """Whether it is the organization's pause of every lane, which its owners may have made
    themselves, and none of them did. Docmill pauses no organization by itself: where nobody is
    named, it came from the command line of its own machine."""
    is_whole = pause.scope == "organization" and not pause.lane
    return is_whole and pause.by in (OPERATOR, None)


def is_held(file: BatchFile, pauses: Iterable[QueuePause]) -> bool:
    """Whether `file` waits because somebody paused it or its job, or one of `pauses` holds it; one
    that waits for another file alone is not held."""
    if file.state not in READY:
        return False
    its_own = file.is_held and file.waits_for_id is None
    of_job = file.job.state == JobState.PAUSED
    return its_own or of_job or any(pause.holds(file.lane) for pause in pauses)


def pauses_that_hold(jobs: Sequence[BatchJob]) -> dict[UUID, list[QueuePause]]:
    """For each of `jobs` of whose waiting files some are held back by pauses of the queue: these.

    One query while nothing is paused, and three however many jobs; none where all have ended.
    """
    still_open = [job for job in jobs if job.state in OPEN]
    if not still_open:
        return {}
    pauses = list(Pause.objects.concerning({job.organization_id for job in still_open}))
    if not pauses:
        return {}
    told = {pk: _told(pk, pauses) for pk in {job.organization_id for job in still_open}}
    waiting = BatchFile.objects.ready().filter(job__in=still_open).order_by()
    held: dict[UUID, list[QueuePause]] = {}
    for job_id, organization_id, lane in waiting.values_list(
        "job_id", "organization_id", "lane"
    ).distinct():
        known = held.setdefault(job_id, [])
        known += [p for p in told[organization_id] if p.holds(lane) and p not in known]
    return {job_id: known for job_id, known in held.items() if known}


def _told(organization_id: UUID, pauses: Sequence[Pause]) -> list[QueuePause]:
    mine = [each for each in pauses if each.organization_id in (None, organization_id)]
    names = _names((organization_id, each.paused_by_id) for each in mine)
    return [
        QueuePause(
            _scope(each),
            each.lane,
            _named(names, (organization_id, each.paused_by_id)),
            each.reason,
            each.created_at,
            each.until,
        )
        for each in mine
    ]


def _scope(pause: Pause) -> str:
    if pause.organization_id is not None:
        return "organization"
    return "lane" if pause.lane else "everything"


def _names(people: Iterable[Person]) -> dict[Person, str]:
    """What those of `people` are called who are members of that organization."""
    known = {(organization, user) for organization, user in people if user is not None}
    if not known:
        return {}
    members = Membership.objects.filter(
        organization__in={organization for organization, _ in known},
        user__in={user for _, user in known},
    )
    return {
        (organization, user): name or email
        for organization, user, name, email in members.values_list(
            "organization_id", "user_id", "user__name", "user__email"
        )
    }


def _named(names: dict[Person, str], person: Person) -> str | None:
    return None if person[1] is None else names.get(person, OPERATOR)
