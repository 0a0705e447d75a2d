"""Jobs to test with, a handler that does as it is told, and what must hold after every storm."""

import hashlib
import itertools
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, TypeVar, cast
from unittest import mock

from django.conf import settings
from django.db import connection
from django.db.models import Count, F

from apps.accounts.actor import Actor
from apps.accounts.models import Membership, Organization
from apps.accounts.roles import Role
from apps.jobs import leftovers, storage
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, BatchJob, Blob, FileAttempt, FileResult
from apps.jobs.services import Submission, submit_job
from apps.jobs.states import CLOSED, COUNTED, DUPLICATE
from apps.jobs.upload import receive_paths
from apps.processors.protocol import Extraction, Options, Page
from apps.queue.claim import claim
from apps.queue.handlers import Control, Output, RunFailed
from apps.queue.models import LeasedRow, Priority
from apps.queue.retry import Failure, FailureClass
from apps.queue.states import READY, State

T = TypeVar("T")

_serial = itertools.count(1)

SOMEBODY = uuid.UUID(int=1)
"""A worker's id."""


def owner_of(organization: Organization) -> Actor:
    membership = Membership.objects.select_related("user").get(
        organization=organization, role=Role.OWNER
    )
    return Actor(user=membership.user, organization=organization, role=Role.OWNER)


def submit(
    organization: Organization, *texts: str, priority: Priority = Priority.NORMAL
) -> BatchJob:
    """A job of the organization's owner with one text file for each of `texts`, and under each a
    number that no other file has: what was read before is not read again."""
    unlike = (f"{text}\n{next(_serial)}" for text in texts)
    return submit_exactly(organization, *unlike, priority=priority)


def submit_exactly(
    organization: Organization, *texts: str, priority: Priority = Priority.NORMAL
) -> BatchJob:
    """The same with nothing under the texts."""
    submission = Submission(operation="extract", options=Options(), priority=priority)
    with TemporaryDirectory() as folder, storage.incoming() as directory:
        paths = [Path(folder, f"{number}.txt") for number in range(1, len(texts) + 1)]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text)
        received = list(receive_paths(paths, directory))
        return submit_job(actor=owner_of(organization), submission=submission, files=received)


class Scripted(BatchFileHandler):
    """The handler of batch files without its processors: a run is a call of `script`."""

    script: ClassVar[Callable[["Scripted", BatchFile, Control], Output]]

    def __init__(self) -> None:
        self._waiting = None

    def run(self, row: LeasedRow, control: Control) -> Output:
        self._forget_waiting()
        return type(self).script(self, cast(BatchFile, row), control)

    def close(self) -> None:
        self._forget_waiting()

    def read(self, *texts: str) -> Output:
        """What a run that read a page of each of `texts` gives back, stored as a real one is."""
        pages = tuple(Page(number=n, text=text) for n, text in enumerate(texts or ["read"], 1))
        return Output(self._store(Extraction(pages=pages, kind="txt", engine="script")))


def read_all(handler: Scripted, file: BatchFile, control: Control) -> Output:
    """A script: everything is read."""
    return handler.read(file.name)


def failing(failure_class: FailureClass, **more: object) -> Callable[..., Output]:
    """A script: everything fails with `failure_class`."""

    def script(handler: Scripted, file: BatchFile, control: Control) -> Output:
        raise RunFailed(failure_of(failure_class, **more))

    return script


def failure_of(failure_class: FailureClass, **more: object) -> Failure:
    return Failure(failure_class, "test.failed", "It failed.", **more)  # type: ignore[arg-type]


def claimed(lane: str = "default", worker_id: uuid.UUID = SOMEBODY) -> BatchFile:
    """The lane's best file, leased to `worker_id`. Fails when there is none."""
    found = claim(lane, worker_id)
    assert found is not None, f"nothing to claim in lane {lane}"
    return cast(BatchFile, found[1])


def together(work: Sequence[Callable[[], T]]) -> list[T]:
    """Runs all of `work` at the same moment, each in a thread with a connection of its own.

    Their results in order; raises the first error, once all have ended.
    """
    start = threading.Barrier(len(work))
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            connection.ensure_connection()
            start.wait()
            results[number] = work[number]()
        except BaseException as error:  # noqa: BLE001  raised again below
            errors.append(error)
            start.abort()
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in sorted(errors, key=lambda each: isinstance(each, threading.BrokenBarrierError)):
        raise error
    return [results[number] for number in range(len(work))]


def check_books() -> None:
    """Every job's counters are the truth about its files, and it is closed exactly if all ended."""
    for job in BatchJob.objects.all():
        states = Counter(BatchFile.objects.filter(job=job).values_list("state", flat=True))
        assert job.duplicates == states[DUPLICATE], job
        states["succeeded"] += states[DUPLICATE]
        assert job.counts == {state: states[state] for state in COUNTED}, job
        unfinished = sum(states[state] for state in (*READY, State.RUNNING))
        assert (job.state in CLOSED) == (unfinished == 0), (job.state, states)
        assert (job.finished_at is not None) == (job.state in CLOSED), job.state


def check_nothing_runs() -> None:
    """No lease is left, every attempt is told of and closed, every success came about once."""
    assert not BatchFile.objects.running().exists()
    assert not BatchFile.objects.exclude(lease_token=None).exists()
    assert not FileAttempt.objects.filter(ended_at=None).exists()
    for file in BatchFile.objects.annotate(told=Count("attempts_made")).exclude(told=F("attempts")):
        raise AssertionError(f"file {file.pk}: {file.attempts} attempts, {file.told} told of")
    for file in BatchFile.objects.filter(state=State.SUCCEEDED):
        attempts = file.attempts_made.filter(run=file.run, outcome=State.SUCCEEDED)
        assert attempts.count() == 1, file.pk
        assert FileResult.objects.filter(file=file, run=file.run).count() == 1, file.pk


def check_bytes() -> None:
    """What rows tell of is there, and once the janitor has been a day later, nothing else is.

    Call it when nothing runs any more: what somebody writes just now would be taken away.
    """
    unused = Blob.objects.filter(
        files=None, results=None, searchable_results=None, checkpoints=None, exports=None
    )
    used = set(Blob.objects.exclude(pk__in=unused))
    for blob in used:
        digest = hashlib.sha256(storage.path_of(blob).read_bytes()).hexdigest()
        assert digest == blob.sha256, blob.pk
    with mock.patch.object(storage, "STALE_UPLOAD_SECONDS", -1):
        storage.remove_orphans()
        leftovers.remove_stale_uploads()
    assert set(Blob.objects.all()) == used
    root = Path(settings.DOCMILL_DATA_DIR)
    assert set(root.glob("blobs/*/*/*")) == {storage.path_of(blob) for blob in used}
    assert not list(root.glob("incoming/*"))
