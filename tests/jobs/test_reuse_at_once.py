"""The same bytes at the same moment: read once, whoever brings, reads, controls or deletes them."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from apps.accounts.models import Organization, User
from apps.core.errors import NotFound
from apps.jobs.errors import FileRunning, JobFinished, JobUnfinished, NothingToRetry
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, BatchJob, FileAttempt, FileResult
from apps.jobs.services import (
    cancel_job,
    delete_job,
    pause_job,
    prioritize_job,
    removing,
    requeue_job,
    resume_job,
    retry_job,
)
from apps.queue.claim import claim
from apps.queue.models import Priority
from apps.queue.retry import FailureClass
from apps.queue.settle import fail, succeed, take_back
from tests.batches import SOMEBODY, Scripted, check_books, claimed, failure_of, owner_of, together
from tests.conftest import ApiFor
from tests.jobs.containers import submit_files
from tests.jobs.forms import accepted, part
from tests.jobs.likes import killed_after_commit
from tests.jobs.runs import fail_next, read_next

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("roomy")]

SAME = {"a.txt": b"the same bytes"}
ROUNDS = 4


def check_read_once(jobs: int) -> None:
    """All jobs have the result of one reading."""
    assert FileAttempt.objects.count() == 1
    states = list(BatchFile.objects.order_by("state").values_list("state", flat=True))
    assert states == ["duplicate"] * (jobs - 1) + ["succeeded"]
    assert FileResult.objects.count() == jobs
    assert FileResult.objects.values("content").distinct().count() == 1
    assert not BatchJob.objects.exclude(state="succeeded").exists()
    check_books()


def test_submitted_at_once(acme: Organization) -> None:
    together([lambda: submit_files(acme, SAME)] * 8)
    assert BatchFile.objects.filter(waits_for=None).count() == 1
    read_next()
    assert claim("default", SOMEBODY) is None
    check_read_once(8)


def test_submitted_at_once_through_the_api(alice: User, api_for: ApiFor) -> None:
    apis = [api_for(alice) for _ in range(6)]

    def send(api: Any) -> None:
        accepted(api, part(SAME["a.txt"]), part(b"more of the same", "b.txt"))

    together([lambda api=api: send(api) for api in apis])
    assert BatchFile.objects.filter(waits_for=None).count() == 2
    read_next("one")
    read_next("two")
    assert FileAttempt.objects.count() == 2
    assert BatchFile.objects.filter(state="duplicate").count() == 10
    assert BatchJob.objects.filter(state="succeeded").count() == 6
    check_books()


def read_until_all_ended() -> None:
    deadline = time.monotonic() + 30
    while BatchJob.objects.open().exists() or not BatchJob.objects.exists():
        assert time.monotonic() < deadline, list(BatchFile.objects.values())
        if found := claim("default", SOMEBODY):
            assert succeed(BatchFileHandler, found[1], Scripted().read())


def test_submitted_while_it_is_being_read(acme: Organization) -> None:
    """Whenever a second comes, before, at or after the end of the first, it finds it or is found.

    Nothing repairs here: each end and each submission sees to its own.
    """
    for number in range(ROUNDS):
        files = {"a.txt": b"round %d" % number}

        def bring(files: dict[str, bytes] = files) -> None:
            for _ in range(4):
                submit_files(acme, files)

        together([bring, bring, read_until_all_ended, read_until_all_ended])
        read_until_all_ended()
        assert FileAttempt.objects.count() == number + 1
        check_books()


@pytest.mark.postgres
def test_who_brings_its_like_holds_up_no_file(acme: Organization) -> None:
    """A reference to a file locks its key until the submission is committed."""
    submit_files(acme, SAME)
    leader = BatchFile.objects.get()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM jobs_batchfile WHERE id = %s FOR KEY SHARE", [leader.pk])
            with connection.cursor() as mine:
                mine.execute("SET lock_timeout = '1s'")
            fail_next(FailureClass.LOST)
            file = claimed()
            BatchFile.objects.update(lease_expires_at=Now() - timedelta(seconds=1))
            assert take_back(BatchFileHandler, file.pk)
    finally:
        other.close()
        connection.close()


@pytest.mark.postgres
@pytest.mark.parametrize("verb", ["retry", "resume"])
def test_nobody_begins_to_wait_for_what_is_being_deleted(
    acme: Organization, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    owner = owner_of(acme)
    waits = submit_files(acme, SAME)
    if verb == "retry":
        fail_next()
    else:
        pause_job(actor=owner, job=waits)
    goes = submit_files(acme, SAME)
    read_next()
    is_let_go, has_begun = threading.Event(), threading.Event()
    blobs_of = removing._blobs_of

    def slowly(jobs: list[BatchJob]) -> set[int]:
        is_let_go.set()
        has_begun.wait(1)
        return blobs_of(jobs)

    def begin() -> None:
        assert is_let_go.wait(5)
        act = retry_job if verb == "retry" else resume_job
        killed_after_commit(lambda: act(actor=owner, job=waits))
        has_begun.set()

    monkeypatch.setattr(removing, "_blobs_of", slowly)
    together([lambda: delete_job(actor=owner, job=goes), begin])
    BatchFileHandler.repair()
    assert read_next().job_id == waits.pk
    check_books()


def test_many_at_once_in_orders_of_their_own(acme: Organization) -> None:
    """Each locks several of the same rows; none waits for another in a circle."""
    names = [f"{number}.txt" for number in range(12)]

    def bring(seed: int) -> None:
        shuffled = random.Random(seed).sample(names, len(names))
        submit_files(acme, {name: name.encode() for name in shuffled})

    together([lambda seed=seed: bring(seed) for seed in range(6)])
    assert BatchFile.objects.filter(waits_for=None).count() == len(names)
    together([read_until_all_ended] * 3)
    assert FileAttempt.objects.count() == len(names)
    check_books()


def test_submitted_while_the_original_is_deleted(acme: Organization) -> None:
    """It has the result, or reads for itself; it is never refused for what went meanwhile."""
    owner = owner_of(acme)
    original = submit_files(acme, SAME)
    for _ in range(3 * ROUNDS):
        if claim("default", SOMEBODY):
            file = BatchFile.objects.running().get()
            assert succeed(BatchFileHandler, file, Scripted().read())
        original.refresh_from_db()
        _, *made = together(
            [
                lambda job=original: delete_job(actor=owner, job=job),
                *[lambda: submit_files(acme, SAME)] * 3,
            ]
        )
        for file in BatchFile.objects.exclude(state="queued"):
            assert file.result.content_id, file.state
        check_books()
        original, *others = made
        read_until_all_ended()
        for job in others:
            job.refresh_from_db()
            delete_job(actor=owner, job=job)


class Actor:
    """One of those who do what comes to their mind with jobs of the same few bytes."""

    def __init__(self, organization: Organization, seed: int) -> None:
        self.random = random.Random(seed)
        self.organization = organization
        self.owner = owner_of(organization)
        self.held: list[Any] = []
        self.acts: list[Callable[[], object]] = [
            *[self.submit] * 3,
            *[self.claim] * 6,
            *[self.settle] * 6,
            lambda: cancel_job(actor=self.owner, job=self.any_job()),
            lambda: pause_job(actor=self.owner, job=self.any_job()),
            lambda: pause_job(actor=self.owner, **self.any_file()),
            *[lambda: resume_job(actor=self.owner, job=self.any_job())] * 2,
            lambda: prioritize_job(actor=self.owner, job=self.any_job(), priority=Priority.HIGH),
            lambda: retry_job(actor=self.owner, job=self.any_job()),
            lambda: requeue_job(actor=self.owner, job=self.any_job()),
            lambda: delete_job(actor=self.owner, job=self.any_job()),
            BatchFileHandler.repair,
        ]

    def __call__(self) -> None:
        for _ in range(40):
            with suppress(FileRunning, JobFinished, JobUnfinished, NothingToRetry, NotFound):
                self.random.choice(self.acts)()
        while self.held:
            self.settle()

    def submit(self) -> None:
        chosen = self.random.sample(range(6), 3)
        submit_files(self.organization, {f"{n}.txt": b"text %d" % n for n in chosen})

    def claim(self) -> None:
        if found := claim("default", SOMEBODY):
            self.held.append(found[1])

    def settle(self) -> None:
        if not self.held:
            return
        file = self.held.pop()
        if self.random.random() < 0.6:
            succeed(BatchFileHandler, file, Scripted().read("the same for all"))
        else:
            classes = [each for each in FailureClass if each is not FailureClass.INFRA]
            fail(BatchFileHandler, file, failure_of(self.random.choice(classes)))

    def any_job(self) -> BatchJob:
        jobs = list(BatchJob.objects.order_by("pk"))
        if not jobs:
            raise NotFound
        return self.random.choice(jobs)

    def any_file(self) -> dict[str, Any]:
        job = self.any_job()
        files = list(BatchFile.objects.filter(job=job))
        if not files:
            raise NotFound
        return {"job": job, "only": [self.random.choice(files)]}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_everything_at_once_leaves_nobody_waiting(acme: Organization, seed: int) -> None:
    together([Actor(acme, seed * 100 + number) for number in range(5)])
    check_books()
    owner = owner_of(acme)
    for job in BatchJob.objects.open():
        with suppress(JobFinished):
            resume_job(actor=owner, job=job)
    for _ in range(200):
        BatchFileHandler.repair()
        BatchFile.objects.unfinished().update(available_at=Now())
        found = claim("default", SOMEBODY) or claim("heavy", SOMEBODY)
        if found is None:
            break
        assert succeed(BatchFileHandler, found[1], Scripted().read())
    assert not BatchFile.objects.unfinished().exists()
    check_books()
    for file in BatchFile.objects.filter(state__in=("succeeded", "duplicate")):
        assert file.result.content_id
