"""What people do to jobs: done twice, done by whom, and what the audit log tells of it."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.accounts.actor import Actor
from apps.accounts.errors import Forbidden
from apps.accounts.models import Membership, Organization
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_user
from apps.audit.verifying import verify
from apps.jobs.errors import JobFinished, NothingToRetry
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services import (
    cancel_job,
    delete_job,
    discard_job,
    keep_job,
    pause_job,
    prioritize_job,
    requeue_job,
    resume_job,
    retry_job,
)
from apps.queue.models import Priority
from apps.queue.retry import FailureClass
from tests.audit.entries import acts
from tests.batches import check_books, owner_of, submit
from tests.jobs.runs import fail_next, read_next

pytestmark = pytest.mark.django_db

Verb = Callable[..., Any]


@pytest.fixture
def owner(acme: Organization) -> Actor:
    return owner_of(acme)


@pytest.fixture
def three(acme: Organization) -> BatchJob:
    return submit(acme, "one", "two", "three")


def files(job: BatchJob) -> list[BatchFile]:
    return list(BatchFile.objects.filter(job=job).order_by("position"))


def all_but_revision() -> list[dict[str, Any]]:
    """Everything of the job and its files; the revision only says that somebody was there."""
    jobs = BatchJob.objects.values().get() | {"revision": 0}
    return [jobs, *BatchFile.objects.order_by("pk").values()]


def member(organization: Organization, role: Role) -> Actor:
    user = create_user(email=f"{role}@example.com", password=None)
    add_member(organization=organization, user=user, role=role)
    return Actor(user=user, organization=organization, role=role)


def waits(job: BatchJob) -> None:
    """Leaves the job as it was submitted."""


def ended(job: BatchJob) -> None:
    read_next()
    fail_next()
    read_next()


VERBS: dict[str, tuple[Verb, dict[str, Any], Callable[[BatchJob], None]]] = {
    "job.cancel": (cancel_job, {}, waits),
    "job.pause": (pause_job, {"reason": "Why not."}, waits),
    "job.resume": (resume_job, {}, waits),
    "job.prioritize": (prioritize_job, {"priority": Priority.LOW}, waits),
    "job.keep": (keep_job, {"kept": True}, waits),
    "job.let_go": (keep_job, {"kept": False}, waits),
    "job.discard": (discard_job, {}, ended),
    "job.retry": (retry_job, {}, ended),
    "job.requeue": (requeue_job, {}, ended),
    "job.delete": (delete_job, {}, ended),
}
SOME = ("job.cancel", "job.pause", "job.resume", "job.prioritize", "job.retry", "job.requeue")


@pytest.mark.parametrize("action", VERBS)
def test_readers_nothing_contributors_their_own(
    acme: Organization, three: BatchJob, action: str
) -> None:
    verb, given, prepare = VERBS[action]
    prepare(three)
    before = list(BatchJob.objects.values()), list(BatchFile.objects.values())
    contributor = member(acme, Role.CONTRIBUTOR)
    for actor in (member(acme, Role.READER), contributor):
        with pytest.raises(Forbidden):
            verb(actor=actor, job=three, **given)
    assert (list(BatchJob.objects.values()), list(BatchFile.objects.values())) == before
    assert not acts().exists()
    BatchJob.objects.update(created_by=contributor.user)
    three.refresh_from_db()
    verb(actor=contributor, job=three, **given)
    assert acts().get().actor_id == contributor.user.pk


@pytest.mark.parametrize("action", VERBS)
def test_each_is_told_in_the_audit_log(
    acme: Organization, owner: Actor, three: BatchJob, action: str
) -> None:
    verb, given, prepare = VERBS[action]
    prepare(three)
    verb(actor=owner, job=three, **given)
    entry = acts().get()
    told = (entry.action, entry.target, entry.target_id)
    assert told == (action, "job", str(three.pk or entry.target_id))
    assert (entry.organization_id, entry.actor_name) == (acme.pk, "alice@example.com")
    assert entry.reason == given.get("reason", "")
    assert verify(acme) is None


@pytest.mark.parametrize("action", SOME)
def test_the_log_names_the_files_it_was_done_to(owner: Actor, three: BatchJob, action: str) -> None:
    verb, given, prepare = VERBS[action]
    prepare(three)
    second = files(three)[1]
    verb(actor=owner, job=three, only=[second], **given)
    assert str(second.pk) in acts().get().detail
    check_books()


@pytest.mark.parametrize("action", ["job.pause", "job.resume", "job.prioritize", "job.keep"])
@pytest.mark.parametrize("some", [False, True])
def test_twice_is_once(owner: Actor, three: BatchJob, action: str, some: bool) -> None:
    if some and action not in SOME:
        return
    verb, given, _ = VERBS[action]
    chosen: dict[str, Any] = {"only": files(three)[:2]} if some else {}
    if action == "job.resume":
        pause_job(actor=owner, job=three, **chosen)
    verb(actor=owner, job=three, **given, **chosen)
    before = all_but_revision()
    verb(actor=owner, job=three, **given, **chosen)
    assert all_but_revision() == before


@pytest.mark.parametrize("verb", [cancel_job, pause_job, resume_job])
def test_what_has_ended_is_left_alone(owner: Actor, three: BatchJob, verb: Verb) -> None:
    ended(three)
    before = BatchJob.objects.values().get()
    with pytest.raises(JobFinished):
        verb(actor=owner, job=three)
    assert BatchJob.objects.values().get() == before
    assert not acts().exists()


def test_an_operator_is_named_in_the_organizations_log(acme: Organization, three: BatchJob) -> None:
    root = create_user(email="root@example.com", password=None, is_staff=True)
    pause_job(actor=Actor.operator(root, acme), job=three)
    assert not Membership.objects.filter(user=root, organization=acme).exists()
    assert acts().get().actor_name == "root@example.com"
    three.refresh_from_db()
    assert three.paused_by == root


def test_a_requeue_takes_quarantined_files_for_those_who_may_change_every_job(
    acme: Organization, owner: Actor, three: BatchJob
) -> None:
    dave = member(acme, Role.CONTRIBUTOR)
    mine = submit(acme, "mine")
    BatchJob.objects.filter(pk=mine.pk).update(created_by=dave.user)
    mine.refresh_from_db()
    cancel_job(actor=owner, job=three)
    for _ in range(2):
        fail_next(FailureClass.CRASH)
    with pytest.raises(NothingToRetry):
        requeue_job(actor=dave, job=mine)
    assert requeue_job(actor=owner, job=mine).state == "queued"
