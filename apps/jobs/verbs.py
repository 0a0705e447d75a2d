"""What an operator may do to jobs and files from outside their organizations, as data.

The actions of the admin, the bulk actions there and `manage.py bulk` are all made from it.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from apps.accounts.actor import Actor
from apps.jobs import services
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services.rerunning import ALL
from apps.jobs.states import CLOSED, OPEN, JobState
from apps.queue.models import Priority
from apps.queue.states import UNFINISHED, State

CHANGE_JOB = "jobs.change_batchjob"
DELETE_JOB = "jobs.delete_batchjob"


@dataclass(frozen=True)
class Deed:
    """Who does it, to which job, to which files of it alone (none: to the job), and why."""

    actor: Actor
    job: BatchJob
    only: Sequence[BatchFile] = ()
    reason: str = ""

    @property
    def whole(self) -> dict[str, Any]:
        """What a service takes that acts on jobs alone."""
        return {"actor": self.actor, "job": self.job}

    @property
    def given(self) -> dict[str, Any]:
        """What a service takes that acts on files of a job, too."""
        return self.whole | {"only": self.only}


@dataclass(frozen=True)
class Verb:
    """`perform` raises a DocmillError for what has to be left alone.

    `fits` says of a job, or of a file, whether it is worth offering; `effect` what it does, in
    sentences that also say what is skipped. `unfit` is what is told of files that do not fit.
    """

    name: str
    label: str
    done: str
    effect: str
    perform: Callable[[Deed], object]
    fits: Callable[[Any], bool]
    permission: str = CHANGE_JOB
    unfit: str = ""
    spares_opened: bool = False
    """Whether files that others were taken out of, and that succeeded, are left alone."""

    @property
    def deletes(self) -> bool:
        return self.permission == DELETE_JOB


def _prioritize(priority: Priority) -> Verb:
    return Verb(
        name=f"prioritize-{priority.label}",
        label=f"Priority {priority.label}",
        done=f"Priority {priority.label}",
        effect=f"The jobs get {priority.label} priority, which counts from the next free slot on; "
        "what runs goes on. Jobs that have ended are skipped.",
        perform=lambda deed: services.prioritize_job(**deed.given, priority=priority),
        fits=lambda job: job.state in OPEN and job.priority != priority,
    )


def _named(*verbs: Verb) -> dict[str, Verb]:
    return {verb.name: verb for verb in verbs}


RETRIED: Collection[str] = (State.FAILED, State.CANCELLED, State.QUARANTINED)

JOB_VERBS = _named(
    Verb(
        name="cancel",
        label="Cancel",
        done="Cancelled",
        effect="Files that wait are cancelled at once, running ones as soon as their worker "
        "sees it. What was read before stays. Jobs that have ended are skipped.",
        perform=lambda deed: services.cancel_job(**deed.given),
        fits=lambda job: job.state in OPEN,
    ),
    Verb(
        name="pause",
        label="Pause",
        done="Paused",
        effect="Nothing more of the jobs starts until they are resumed; what runs goes on. Their "
        "people see who paused them, and the reason if one is given. Jobs that have ended are "
        "skipped.",
        perform=lambda deed: services.pause_job(**deed.given, reason=deed.reason),
        fits=lambda job: job.state in (JobState.QUEUED, JobState.RUNNING),
    ),
    Verb(
        name="resume",
        label="Resume",
        done="Resumed",
        effect="The jobs go on, also with files that were paused one by one. Jobs that have ended "
        "are skipped.",
        perform=lambda deed: services.resume_job(**deed.given),
        fits=lambda job: job.state == JobState.PAUSED,
    ),
    *map(_prioritize, Priority),
    Verb(
        name="retry",
        label="Retry failed",
        done="Run again",
        effect="Files that failed, were cancelled or are quarantined run again; the others "
        "stay as they are. Jobs that have not ended, or with nothing to retry, are skipped.",
        perform=lambda deed: services.retry_job(**deed.given),
        fits=lambda job: (
            job.state in CLOSED and bool(job.failed or job.cancelled or job.quarantined)
        ),
    ),
    Verb(
        name="requeue",
        label="Run all again",
        done="Run again",
        effect="Every file runs again, also those that succeeded; what was read before stays "
        "until its file is read anew. Jobs that have not ended are skipped.",
        perform=lambda deed: services.requeue_job(**deed.given),
        fits=lambda job: job.state in CLOSED and job.total > job.rejected,
    ),
    Verb(
        name="discard",
        label="Discard",
        done="Discarded",
        effect="The failures need nobody any more: the jobs are left out of what failed lately, "
        "and stay readable. Jobs in which nothing failed, or that have not ended, are skipped.",
        perform=lambda deed: services.discard_job(**deed.whole),
        fits=lambda job: (
            job.state in (JobState.FAILED, JobState.PARTIAL) and job.discarded_at is None
        ),
    ),
    Verb(
        name="keep",
        label="Keep",
        done="Kept",
        effect="The jobs are kept from cleanup, however old they get, until somebody lets them go.",
        perform=lambda deed: services.keep_job(**deed.whole, kept=True),
        fits=lambda job: not job.is_kept,
    ),
    Verb(
        name="let-go",
        label="Let go",
        done="Let go",
        effect="The jobs are no longer kept: they are cleaned up once they are old enough.",
        perform=lambda deed: services.keep_job(**deed.whole, kept=False),
        fits=lambda job: job.is_kept,
    ),
    Verb(
        name="delete",
        label="Delete",
        done="Deleted",
        effect="The jobs go for good, with their files, attempts and results, and all bytes "
        "that no other job uses. Jobs that have not ended are skipped.",
        perform=lambda deed: services.delete_job(**deed.whole),
        fits=lambda job: job.state in CLOSED,
        permission=DELETE_JOB,
    ),
)

FILE_VERBS = _named(
    Verb(
        name="cancel",
        label="Cancel",
        done="Cancelled",
        effect="Files that wait are cancelled at once, running ones as soon as their worker sees "
        "it; the others of their jobs go on. Files that have ended are skipped.",
        perform=lambda deed: services.cancel_job(**deed.given),
        fits=lambda file: file.state in UNFINISHED,
        unfit="The file has ended.",
    ),
    Verb(
        name="retry",
        label="Run again",
        done="Run again",
        effect="These files run once more; the others of their jobs stay as they are. Only "
        "files that failed, were cancelled or are quarantined can, in a job that has ended.",
        perform=lambda deed: services.retry_job(**deed.given),
        fits=lambda file: file.state in RETRIED,
        unfit="The file did not fail and was not cancelled.",
    ),
    Verb(
        name="requeue",
        label="Read anew",
        done="Read anew",
        effect="These files are read again, also those that succeeded; what was read before stays "
        "until then, and the others of their jobs stay as they are. Files that were refused at "
        "the door, containers that were opened, and files of jobs that have not ended are skipped.",
        perform=lambda deed: services.requeue_job(**deed.given),
        fits=lambda file: file.state in ALL,
        unfit="The file has not ended, was refused, or is a container that was opened.",
        spares_opened=True,
    ),
)
