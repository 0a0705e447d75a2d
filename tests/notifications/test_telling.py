"""Who is told what of jobs, pauses and memberships."""

import pytest

from apps.accounts.actor import Actor
from apps.accounts.models import Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_user
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services import cancel_job, delete_job, requeue_job, retry_job
from apps.jobs.services.closing import set_right
from apps.notifications.kinds import KINDS
from apps.notifications.models import Notification
from apps.notifications.preferences import Choice, Mail
from apps.notifications.services import set_choices
from apps.queue.pauses import pause, resume
from tests.batches import owner_of, submit
from tests.jobs.runs import fail_next, read_next
from tests.notifications.telling import quarantine_next, told

pytestmark = pytest.mark.django_db


def member(organization: Organization, role: Role) -> Actor:
    user = create_user(email=f"{role}@example.com", password=None, name=role.capitalize())
    add_member(organization=organization, user=user, role=role)
    Notification.objects.filter(user=user).delete()
    return Actor(user=user, organization=organization, role=role)


def submitted_by(actor: Actor, *texts: str) -> BatchJob:
    job = submit(actor.organization, *texts)
    BatchJob.objects.filter(pk=job.pk).update(created_by=actor.user)
    job.refresh_from_db()
    return job


# --- jobs ---------------------------------------------------------------------------------------


def test_the_end_of_a_job_is_told_once_to_who_submitted_it(
    acme: Organization, alice: User, bob: User
) -> None:
    submit(acme, "one", "two", "three")
    read_next()
    fail_next()
    assert told(alice) == []
    read_next()
    assert told(alice) == ["* 1.txt and 2 more: partly failed"]
    [row] = Notification.objects.filter(user=alice)
    assert row.told.text == "2 of 3 files read, 1 failed."
    assert row.facts["counts"] == {"succeeded": 2, "failed": 1}
    assert "* " + row.told.title not in told(bob)


def test_a_job_has_one_notification_however_often_it_runs(acme: Organization, alice: User) -> None:
    job = submit(acme, "one")
    fail_next()
    first = Notification.objects.get(user=alice)
    Notification.objects.update(read_at=first.told_at)
    retry_job(actor=owner_of(acme), job=job)
    assert told(alice) == ["1.txt: failed"]
    read_next()
    assert told(alice) == ["* 1.txt: finished"]
    now = Notification.objects.get(user=alice)
    assert (now.pk, now.facts["run"], now.created_at) == (first.pk, 2, first.created_at)
    assert now.told_at > first.told_at


def test_the_same_state_told_again_is_no_news(acme: Organization, alice: User) -> None:
    job = submit(acme, "one")
    read_next()
    row = Notification.objects.get(user=alice)
    Notification.objects.update(read_at=row.told_at)
    BatchJob.objects.filter(pk=job.pk).update(state="running")
    set_right(job.pk)
    assert told(alice) == ["1.txt: finished"]


def test_a_job_whose_end_is_put_right_is_told_anew(acme: Organization, alice: User) -> None:
    job = submit(acme, "one")
    read_next()
    Notification.objects.update(read_at=job.created_at)
    BatchFile.objects.filter(job=job).update(state="failed")
    set_right(job.pk)
    assert told(alice) == ["* 1.txt: failed"]


def test_who_cancels_their_own_job_is_not_told(acme: Organization, alice: User) -> None:
    cancel_job(actor=owner_of(acme), job=submit(acme, "one"))
    assert told(alice) == []


def test_who_cancels_what_failed_before_sees_it_put_right_and_read(
    acme: Organization, alice: User
) -> None:
    job = submit(acme, "one")
    fail_next()
    retry_job(actor=owner_of(acme), job=job)
    cancel_job(actor=owner_of(acme), job=job)
    assert told(alice) == ["1.txt: cancelled"]


@pytest.mark.parametrize("is_running", [False, True])
def test_a_job_that_somebody_else_cancels_is_told(
    acme: Organization, alice: User, is_running: bool
) -> None:
    admin = member(acme, Role.ADMIN)
    job = submit(acme, "one")
    if is_running:
        file = _claimed()
        cancel_job(actor=admin, job=job)
        assert told(alice) == []
        _stop(file)
    else:
        cancel_job(actor=admin, job=job)
    assert told(alice) == ["* 1.txt: cancelled"]
    assert told(admin.user) == []


def test_ones_own_cancel_of_a_running_job_is_not_told(acme: Organization, alice: User) -> None:
    job = submit(acme, "one")
    file = _claimed()
    cancel_job(actor=owner_of(acme), job=job)
    _stop(file)
    assert BatchJob.objects.get().state == "cancelled"
    assert told(alice) == []


def _claimed() -> BatchFile:
    from tests.batches import claimed

    return claimed()


def _stop(file: BatchFile) -> None:
    from apps.queue.retry import FailureClass
    from apps.queue.settle import fail
    from tests.batches import Scripted, failure_of

    assert fail(Scripted, file, failure_of(FailureClass.INTERRUPTED))


def test_whoever_left_is_not_told(acme: Organization, alice: User) -> None:
    submit(acme, "one")
    Membership.objects.filter(user=alice, organization=acme).delete()
    read_next()
    assert BatchJob.objects.get().state == "succeeded"
    assert told(alice) == []


def test_a_job_ends_also_when_its_submitter_is_gone(acme: Organization) -> None:
    submit(acme, "one")
    BatchJob.objects.update(created_by=None)
    read_next()
    assert BatchJob.objects.get().state == "succeeded"
    assert not Notification.objects.exists()


def test_what_was_told_of_a_job_goes_with_it(acme: Organization, alice: User) -> None:
    job = submit(acme, "one")
    quarantine_next()
    other = submit(acme, "two")
    read_next()
    assert len(told(alice)) == 3
    delete_job(actor=owner_of(acme), job=job)
    assert told(alice) == ["* 1.txt: finished"]
    assert Notification.objects.get(user=alice).facts["job"] == str(other.pk)


# --- quarantine ---------------------------------------------------------------------------------


def test_quarantine_is_told_to_those_who_can_end_it(acme: Organization, alice: User) -> None:
    admin, contributor = member(acme, Role.ADMIN), member(acme, Role.CONTRIBUTOR)
    reader = member(acme, Role.READER)
    submitted_by(contributor, "one", "two", "three")
    quarantine_next()
    quarantine_next()
    for user in (alice, admin.user):
        assert told(user) == ["* 1.txt and 2 more: 2 files in quarantine"]
    assert told(contributor.user) == told(reader.user) == []
    read_next()
    assert told(contributor.user) == ["* 1.txt and 2 more: partly failed"]


def test_quarantine_needs_nobody_once_its_files_run_again(acme: Organization, alice: User) -> None:
    job = submit(acme, "one", "two")
    quarantine_next()
    read_next()
    requeue_job(actor=owner_of(acme), job=job)
    assert "1.txt and 1 more: quarantine is over" in told(alice)
    quarantine_next()
    assert "* 1.txt and 1 more: 1 file in quarantine" in told(alice)


# --- pauses -------------------------------------------------------------------------------------


def test_a_pause_is_told_to_those_whose_jobs_wait(
    acme: Organization, alice: User, bob: User, other: Organization, charlie: User
) -> None:
    Notification.objects.all().delete()
    submit(acme, "one")
    submit(acme, "two")
    pause(by=charlie, lane="ocr", reason="New scanner.")
    assert told(alice) == []
    pause(by=charlie, lane="default", reason="New disk.")
    assert told(alice) == ["* The lane default: paused"]
    assert told(bob) == told(charlie) == []
    row = Notification.objects.get(user=alice)
    assert row.told.text == "By an operator. New disk. Jobs of yours wait until it goes on."
    assert "Charlie" not in str(row.facts)


def test_a_pause_that_ends_needs_nobody_any_more(acme: Organization, alice: User) -> None:
    submit(acme, "one")
    pause(by=None)
    pause(by=None)
    assert told(alice) == ["* Everything: paused"]
    resume(by=None)
    assert told(alice) == ["Everything: goes on"]
    pause(by=None)
    assert told(alice) == ["* Everything: paused"]


def test_the_pause_of_an_organization_is_told_to_who_runs_it_but_not_to_who_paused(
    acme: Organization, alice: User, bob: User
) -> None:
    admin = member(acme, Role.ADMIN)
    Notification.objects.all().delete()
    pause(by=admin.user, organization=acme, reason="Year's end.")
    assert told(alice) == ["* Acme: paused"]
    assert told(admin.user) == told(bob) == []
    assert Notification.objects.get().facts["by"] == "Admin"


# --- memberships and choices --------------------------------------------------------------------


def test_who_is_made_a_member_is_told(acme: Organization, bob: User, alice: User) -> None:
    assert told(bob) == ["* Acme: you were added"]
    assert told(alice) == []


def test_nothing_is_kept_of_what_somebody_does_not_want(acme: Organization, alice: User) -> None:
    set_choices(user=alice, choices={"job_finished": Choice(in_app=False)})
    submit(acme, "one")
    read_next()
    assert not Notification.objects.exists()


def test_what_is_only_mailed_counts_as_read(acme: Organization, alice: User) -> None:
    set_choices(user=alice, choices={"job_finished": Choice(False, Mail.AT_ONCE)})
    submit(acme, "one")
    read_next()
    row = Notification.objects.get()
    assert row.read_at is not None
    assert row.mail_due_at is not None
    assert not row.is_shown


def test_every_kind_has_words_for_what_it_is_told() -> None:
    """The facts of the tests above are those that the code tells; here is the table."""
    assert set(KINDS) == {kind.name for kind in KINDS.values()}
    assert all(kind.label and kind.about and kind.symbol for kind in KINDS.values())
