"""Files that wait for another with the same bytes, and what becomes of them with that one.

When it succeeds they are its duplicates. When it does not, or is held, the first of them is read
itself and the others wait for that one. Nobody is told of by a message: who ends a file looks for
those who wait for it, who starts to wait looks whether it has ended, and the sweep looks for those
whom nobody saw to.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from apps.jobs import storage
from apps.jobs.models import BatchFile, BatchJob, Blob, FileResult
from apps.jobs.services.closing import count_end
from apps.jobs.services.reuse import READ, copy_of, likes_of, look_ahead, present
from apps.jobs.states import DUPLICATE, JobState
from apps.queue.claim import stored
from apps.queue.doorbell import ring_on_commit
from apps.queue.states import READY, State

REPAIR_BATCH = 200


def wait_for_likes(files: Sequence[BatchFile], *, but_of: Collection[UUID] = ()) -> list[BatchFile]:
    """Of stored files that are about to be read, those that need to be: the others wait for their
    like, which was read or is going to be (of new ones the next in line); for none of the jobs
    `but_of`, which are about to go. The files are locked, and of one organization."""
    known = {key: like for key, like in likes_of(files).items() if like.job_id not in but_of}
    followers = []
    for file in sorted(files, key=_place):
        if file.work_key and known.setdefault(file.work_key, file) is not file:
            file.waits_for, file.is_held = known[file.work_key], True
            followers.append(file)
    BatchFile.objects.bulk_update(followers, ["waits_for", "is_held"])
    raise_leaders_on_commit(followers)
    follow_up_on_commit(*_leaders_of(followers))
    return [file for file in files if file not in followers]


def _place(file: BatchFile) -> tuple[int, float, UUID]:
    """In line: who comes first leads."""
    return (file.priority, file.fair_rank, file.pk)


def _leaders_of(files: Iterable[BatchFile]) -> set[UUID]:
    return {file.waits_for_id for file in files if file.waits_for_id}


def follow_up_on_commit(*leader_ids: UUID) -> None:
    """Sees to those who wait for these files, once the transaction is committed: their jobs' rows
    must not be locked together with a leader's. The sweep does it for a process that dies before.
    """
    if leader_ids:
        transaction.on_commit(lambda: _follow_up_if_any(leader_ids), robust=True)


def _follow_up_if_any(leader_ids: Sequence[UUID]) -> None:
    """Asks in plain SQL first: on the way of every file, and nearly none has followers."""
    places = ", ".join(["%s"] * len(leader_ids))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT 1 FROM {BatchFile._meta.db_table} "  # noqa: S608  (our own names)
            f"WHERE waits_for_id IN ({places}) LIMIT 1",
            [stored(leader_id) for leader_id in leader_ids],
        )
        is_any = cursor.fetchone() is not None
    if is_any:
        _follow_up_all(_stuck(*leader_ids))


def repair() -> None:
    """Sees to those whose leader has ended or is held, and whom nobody saw to."""
    _follow_up_all(_stuck()[:REPAIR_BATCH])


def _follow_up_all(stuck: QuerySet[BatchFile]) -> None:
    for leader_id in set(stuck.values_list("waits_for_id", flat=True)):
        follow_up(leader_id)


def _stuck(*leader_ids: UUID) -> QuerySet[BatchFile]:
    """Those who wait in vain, for whichever leader or one of these."""
    stuck = _followers()
    if leader_ids:
        stuck = stuck.filter(waits_for__in=leader_ids)
    # Where its own job is paused, a file gains nothing from taking the place of a held leader.
    return (
        stuck.exclude(waits_for__state=State.RUNNING)
        .exclude(waits_for__state__in=READY, waits_for__is_held=False)
        .exclude(waits_for__state__in=READY, waits_for__waits_for=None, job__state=JobState.PAUSED)
    )


def _followers() -> QuerySet[BatchFile]:
    followers: QuerySet[BatchFile] = BatchFile.objects.ready()
    return followers.filter(waits_for__isnull=False)


def follow_up(leader_id: UUID) -> int:
    """Sees to those who wait for that file: how many it made duplicates or let go."""
    waiting = list(_followers().filter(waits_for=leader_id).values_list("pk", flat=True))
    leader = BatchFile.objects.select_related("result").filter(pk=leader_id).first()
    if not waiting or leader is None:
        return 0
    if leader.state in READ and hasattr(leader, "result"):
        storage.look_at(leader.result.blob_ids)
        done = sum(_become_duplicate(pk, leader) for pk in waiting)
        if done:
            return done
    look_ahead(leader.organization_id, {leader.work_key})
    return _let_one_go(leader_id)


@transaction.atomic
def _become_duplicate(pk: UUID, leader: BatchFile) -> bool:
    """False when it waits no more, or the result went meanwhile."""
    waiting = _followers().select_for_update(of=("self",), no_key=True)
    file = waiting.filter(pk=pk, waits_for=leader).first()
    if file is None or present(leader.result.blob_ids) != leader.result.blob_ids:
        return False
    changes: dict[str, Any] = {"waits_for": None, "is_held": False, "progress": 1.0}
    BatchFile.objects.filter(pk=pk).update(
        state=DUPLICATE,
        duplicate_of=leader.duplicate_of_id or leader.pk,
        finished_at=Now(),
        **changes,
    )
    FileResult.objects.filter(file=file).delete()  # of an earlier run
    copy_of(leader.result, file).save()
    count_end(file.job_id, DUPLICATE)
    return True


@transaction.atomic
def _let_one_go(leader_id: UUID, *, but_of: Collection[UUID] = ()) -> int:
    """The first of those who wait for a leader which did not succeed, or is held, is read itself;
    the others wait for it, and a leader whose job is paused too. One that is paused by itself waits
    for whoever resumes it."""
    # Who submits the same bytes at this moment sees the one that is let go, or is seen.
    contents = BatchFile.objects.filter(pk=leader_id).values("content")
    list(Blob.objects.select_for_update(no_key=True).filter(pk__in=contents))
    waiting = _followers().select_for_update(of=("self",), no_key=True).filter(waits_for=leader_id)
    files = list(waiting.order_by("id"))
    if not files:
        return 0
    leader = BatchFile.objects.get(pk=leader_id)  # as it is now: it may have been run again
    if leader.state == State.RUNNING or (leader.state in READY and not leader.is_held):
        return 0
    if leader.state in READY and leader.waits_for_id:  # it gave its place away before they came
        return _wait_for(leader.waits_for_id, files)
    paused = _paused_jobs(files)
    first = min(files, key=lambda file: (file.job_id in paused, _place(file)))
    if leader.state in READY and first.job_id in paused:
        return 0  # nothing would be gained
    if wait_for_likes([first], but_of=but_of):
        BatchFile.objects.filter(pk=first.pk).update(waits_for=None, is_held=first.job_id in paused)
        ring_on_commit(first.lane, 1)
        new_leader_id = first.pk
    else:  # somebody brought the same bytes meanwhile
        assert first.waits_for_id is not None
        new_leader_id = first.waits_for_id
    held = BatchFile.objects.ready().filter(pk=leader_id, is_held=True)
    held.filter(job__state=JobState.PAUSED).update(waits_for=new_leader_id)
    _wait_for(new_leader_id, [file for file in files if file is not first])
    return 1


def _wait_for(leader_id: UUID, files: Sequence[BatchFile]) -> int:
    BatchFile.objects.filter(pk__in=[file.pk for file in files]).update(waits_for=leader_id)
    follow_up_on_commit(leader_id)
    return 0


def _paused_jobs(files: Iterable[BatchFile]) -> set[UUID]:
    paused = BatchJob.objects.filter(pk__in={file.job_id for file in files}, state=JobState.PAUSED)
    return set(paused.values_list("pk", flat=True))


def let_go_of(jobs: Collection[UUID]) -> None:
    """Nobody waits for a file of `jobs` any more: they are about to go, all of them together. In
    the caller's transaction."""
    waiting = _followers().filter(waits_for__job__in=jobs).exclude(job__in=jobs)
    for leader_id in set(waiting.values_list("waits_for_id", flat=True)):
        _let_one_go(leader_id, but_of=jobs)


def raise_leaders_on_commit(rows: Iterable[BatchFile]) -> None:
    """A file that others wait for is as urgent as the most urgent of them."""
    wanted: dict[UUID, int] = {}
    for row in rows:
        if row.waits_for_id:
            wanted[row.waits_for_id] = min(row.priority, wanted.get(row.waits_for_id, row.priority))
    if wanted:
        transaction.on_commit(lambda: _raise(wanted), robust=True)


def _raise(wanted: dict[UUID, int]) -> None:
    """Each in a transaction of its own: nobody who holds several files waits for another here."""
    waiting = BatchFile.objects.ready().filter(pk__in=wanted).values_list("pk", "priority")
    for pk in [pk for pk, priority in waiting if priority > wanted[pk]]:
        one = BatchFile.objects.ready().filter(pk=pk, priority__gt=wanted[pk])
        one.update(priority=wanted[pk])
