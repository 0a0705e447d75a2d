"""Jobs go, with everything that is theirs and the bytes that nothing else uses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from apps.accounts.actor import Actor
from apps.core.errors import NotFound
from apps.core.transactions import repeated
from apps.jobs import storage, telling
from apps.jobs.counters import jobs_changed
from apps.jobs.errors import JobUnfinished
from apps.jobs.models import BatchFile, BatchJob, Blob, Checkpoint, Export, FileResult
from apps.jobs.news import tell_on_commit
from apps.jobs.services import following
from apps.jobs.services.controlling import note
from apps.jobs.services.exporting import remove_exports
from apps.jobs.states import CLOSED

UNFINISHED = "Cancel the job first, or wait for it to finish."
UNLINKED_TOGETHER = 500


@dataclass(frozen=True)
class Removed:
    """How many files went, and the blobs that they rested on: to be released after the commit."""

    files: int
    blobs: frozenset[int]


@repeated
def delete_job(*, actor: Actor, job: BatchJob) -> None:
    """Deletes the job, its files, results, and bytes that nothing else uses.

    Raises Forbidden, or JobUnfinished while any file waits or runs.
    """
    actor.require("delete", "jobs", created_by_id=job.created_by_id)
    # Before any lock, too: bytes are locked before files, and who ends a file of the job that
    # others were found in has it the other way round.
    if BatchJob.objects.open().filter(pk=job.pk).exists():
        raise JobUnfinished(UNFINISHED)
    unlink_duplicates([job.pk])
    with transaction.atomic():
        found = lock_to_remove([job.pk])
        if not found:
            raise NotFound("There is no such job.")
        if found[0].state not in CLOSED:
            raise JobUnfinished(UNFINISHED)
        storage.release_on_commit(set(remove_jobs(found).blobs))
        note(actor, job, "job.delete", name=job.name, files=job.total)


def unlink_duplicates(ids: Sequence[UUID]) -> None:
    """Lets go of files elsewhere that have the result of one of these jobs', where they are many:
    in slices, each a short transaction of its own, before the jobs go. The rest goes with them.

    They keep the result. Jobs that stay after all are no worse off: only the link is gone.
    """
    linked = BatchFile.objects.filter(duplicate_of__job__in=ids).exclude(job__in=ids)
    while len(linked.values_list("pk")[: UNLINKED_TOGETHER + 1]) > UNLINKED_TOGETHER:
        with transaction.atomic():
            rows = linked.select_for_update(of=("self",), no_key=True).order_by("pk")
            some = list(rows.values_list("pk", flat=True)[:UNLINKED_TOGETHER])
            BatchFile.objects.filter(pk__in=some).update(duplicate_of=None)


def lock_to_remove(ids: Sequence[UUID]) -> list[BatchJob]:
    """Those of the jobs that are there, locked with their files and the bytes of these.

    The bytes come first, in the order of a submission, which takes them before the files that its
    own would be duplicates of. So who submits the same bytes now waits, or is waited for.
    """
    files = BatchFile.objects.filter(job__in=ids)
    contents = Blob.objects.select_for_update().filter(pk__in=files.values("content"))
    list(contents.order_by("sha256").values_list("pk"))
    # Not against references: they are forgotten before the files go.
    locked = files.select_for_update(of=("self",), no_key=True)
    list(locked.order_by("pk").values_list("pk"))
    return list(BatchJob.objects.select_for_update().filter(pk__in=ids).order_by("pk"))


def remove_jobs(jobs: Iterable[BatchJob]) -> Removed:
    """Deletes closed jobs that `lock_to_remove` has locked. In the caller's transaction."""
    jobs = list(jobs)
    following.let_go_of({job.pk for job in jobs})
    count = BatchFile.objects.filter(job__in=jobs).count()
    blobs = _blobs_of(jobs) | remove_exports(Export.objects.filter(jobs__in=jobs))
    telling.forget_jobs(job.pk for job in jobs)
    BatchJob.objects.filter(pk__in=[job.pk for job in jobs]).delete()
    for job in jobs:
        tell_on_commit(job.pk, gone_from=job.organization_id)
    jobs_changed(*{job.organization_id for job in jobs})
    return Removed(count, frozenset(blobs))


def _blobs_of(jobs: list[BatchJob]) -> set[int]:
    """What their files, results and checkpoints rest on."""
    used: set[int | None] = set()
    used.update(BatchFile.objects.filter(job__in=jobs).values_list("content", flat=True))
    results = FileResult.objects.filter(file__job__in=jobs)
    for pair in results.values_list("content", "searchable"):
        used.update(pair)
    used.update(Checkpoint.objects.filter(file__job__in=jobs).values_list("content", flat=True))
    return {pk for pk in used if pk is not None}
