"""Which endpoints are told of what, and with which secrets it is signed."""

import io
import json
import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings
from standardwebhooks import WebhookVerificationError

from apps.accounts.actor import Actor
from apps.accounts.models import Membership, Organization, User
from apps.jobs.cleanup import cleanup
from apps.jobs.models import BatchJob
from apps.jobs.services import cancel_job, retry_job
from apps.notifications.models import Notification
from apps.notifications.preferences import Choice
from apps.notifications.services import notify, set_choices
from apps.queue.models import WorkItem
from apps.queue.retry import FailureClass
from apps.queue.sweep import sweep
from apps.webhooks.models import Delivery, Endpoint, Try
from apps.webhooks.outbox import publish, send_test
from apps.webhooks.sending import Outcome, note
from apps.webhooks.services import (
    add_endpoint,
    change_endpoint,
    delete_endpoint,
    reveal_secret,
    rotate_secret,
)
from tests.batches import submit, submit_exactly
from tests.concurrency.test_removing import Meanwhile
from tests.jobs.runs import fail_next, read_next
from tests.webhooks.conftest import Work
from tests.webhooks.messages import tell, verified
from tests.webhooks.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def test_secrets_rotate_and_both_hold_for_a_day(
    acme: Organization, owner: Actor, endpoint: Endpoint, receiver: Receiver, work: Work
) -> None:
    old = reveal_secret(actor=owner, endpoint=endpoint)
    endpoint, new = rotate_secret(actor=owner, endpoint=endpoint)
    assert old != new
    for _ in range(2):
        send_test(actor=owner, endpoint=endpoint)
        work()
        Endpoint.objects.update(previous_until=timezone.now() - timedelta(seconds=1))
    both, one = receiver.sent
    assert verified(both, old) == verified(both, new)
    assert verified(both, new)["type"] == "webhook.test"
    assert verified(one, new)
    with pytest.raises(WebhookVerificationError):
        verified(one, old)
    assert old not in endpoint.sealed_secret + endpoint.sealed_previous


def test_with_another_secret_key_it_says_what_to_do(
    acme: Organization, endpoint: Endpoint, receiver: Receiver, work: Work, settings: Settings
) -> None:
    settings.SECRET_KEY = "another key that is long enough for anybody"
    delivery = tell(acme)
    work()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == ("failed", 1)
    assert "Make a new secret" in delivery.error
    assert not receiver.sent


def test_who_is_told_of_what(
    acme: Organization, other: Organization, owner: Actor, endpoint: Endpoint, receiver: Receiver
) -> None:
    change_endpoint(actor=owner, endpoint=endpoint, changes={"events": ["batch_job.failed"]})
    said = {"key": "1", "data": {}}
    assert publish(organization=other, event="batch_job.failed", **said) == 0
    assert publish(organization=acme, event="batch_job.succeeded", **said) == 0
    assert publish(organization=acme, event="batch_job.failed", **said) == 1
    assert publish(organization=acme, event="batch_job.failed", **said) == 0  # told already
    change_endpoint(actor=owner, endpoint=endpoint, changes={"enabled": False})
    assert publish(organization=acme, event="batch_job.failed", key="2", data={}) == 0
    assert Delivery.objects.count() == 1


def test_what_is_said_is_made_only_where_somebody_listens(
    acme: Organization, other: Organization, endpoint: Endpoint, receiver: Receiver
) -> None:
    made = []

    def say() -> dict[str, str]:
        made.append("made")
        return {"id": "7"}

    assert publish(organization=other, event="batch_job.failed", key="1", data=say) == 0
    assert not made
    assert publish(organization=acme, event="batch_job.failed", key="1", data=say) == 1
    assert made == ["made"]
    assert '"id":"7"' in "".join(Delivery.objects.get().body.split())


def test_a_deleted_endpoint_is_told_nothing(
    acme: Organization, owner: Actor, endpoint: Endpoint, receiver: Receiver, work: Work
) -> None:
    tell(acme)
    delete_endpoint(actor=owner, endpoint=endpoint)
    work()
    assert not receiver.sent
    assert WorkItem.objects.get().state == "succeeded"


def test_every_end_of_a_job_is_told(
    acme: Organization, owner: Actor, endpoint: Endpoint, receiver: Receiver, work: Work
) -> None:
    change_endpoint(
        actor=owner,
        endpoint=endpoint,
        changes={"events": ["batch_job.cancelled", "batch_job.failed", "batch_file.quarantined"]},
    )
    cancelled = submit(acme, "a")
    cancel_job(actor=owner, job=cancelled)
    retry_job(actor=owner, job=cancelled)
    for _ in range(2):  # its reader dies twice: it is set aside, and the job has failed
        fail_next(FailureClass.CRASH)
    work()
    told = [json.loads(sent.body) for sent in receiver.sent]
    assert sorted((each["type"], each["data"].get("run")) for each in told) == [
        ("batch_file.quarantined", None),
        ("batch_job.cancelled", 1),
        ("batch_job.failed", 2),
    ]
    [file] = [each["data"] for each in told if each["type"] == "batch_file.quarantined"]
    assert file["job_id"] == str(cancelled.pk)
    assert file["error"]["class"] == "crash"


def test_closing_again_by_the_sweep_tells_nothing_new(
    acme: Organization, endpoint: Endpoint, receiver: Receiver
) -> None:
    submit(acme, "a")
    read_next()
    BatchJob.objects.update(state="running")
    sweep()
    assert BatchJob.objects.get().state == "succeeded"
    assert Delivery.objects.count() == 1


def test_a_job_whose_files_were_read_before_is_told_of_as_well(
    acme: Organization, endpoint: Endpoint, receiver: Receiver, work: Work
) -> None:
    submit_exactly(acme, "the same text")
    read_next()
    submit_exactly(acme, "the same text")
    work()
    told = [json.loads(sent.body) for sent in receiver.sent]
    assert sorted(each["data"]["counts"]["duplicate"] for each in told) == [0, 1]
    assert {each["type"] for each in told} == {"batch_job.succeeded"}


def test_links_begin_with_the_public_address(
    acme: Organization, endpoint: Endpoint, settings: Settings
) -> None:
    settings.PUBLIC_URL = "https://docmill.example"
    job = submit(acme, "a")
    read_next()
    data = json.loads(Delivery.objects.get().body)["data"]
    assert data["url"] == f"https://docmill.example/api/batch/jobs/{job.pk}"


def test_what_is_a_month_old_leaves_the_log(acme: Organization, endpoint: Endpoint) -> None:
    old, new, waits = (tell(acme, key) for key in "abc")
    Delivery.objects.exclude(pk=waits.pk).update(state="failed", ended_at=timezone.now())
    note(old, Outcome(timezone.now(), 5, 500, "It answered 500.", "webhook.status"), is_last=True)
    Delivery.objects.filter(pk=old.pk).update(ended_at=timezone.now() - timedelta(days=30, hours=1))
    told = io.StringIO()
    call_command("cleanup", "--dry-run", "--json", stdout=told)
    assert json.loads(told.getvalue())["webhooks"] == 1
    cleanup()
    assert set(Delivery.objects.all()) == {new, waits}
    assert not Try.objects.exists()


def test_who_may_enable_a_disabled_endpoint_is_told(
    acme: Organization,
    owner: Actor,
    bob: User,
    endpoint: Endpoint,
    receiver: Receiver,
    work: Work,
) -> None:
    receiver.answers = [410]
    tell(acme)
    work()
    row = Notification.objects.get(kind="webhook_disabled")
    assert (row.user, row.kind, row.read_at) == (owner.user, "webhook_disabled", None)
    assert row.told.title == "Books: the webhook was disabled"
    assert row.told.text == "Nothing is sent to it: it answered 410: it wants no more."
    assert reverse(row.told.page[0], args=row.told.page[1:]) == f"/settings/webhooks/{endpoint.pk}"
    change_endpoint(actor=owner, endpoint=endpoint, changes={"enabled": True})
    row.refresh_from_db()
    assert row.told.title == "Books: the webhook is enabled again"
    assert row.read_at is not None
    delete_endpoint(actor=owner, endpoint=endpoint)
    assert not Notification.objects.filter(kind="webhook_disabled").exists()


@pytest.mark.postgres
def test_an_endpoint_that_is_deleted_meanwhile_undoes_nothing(
    acme: Organization, owner: Actor, endpoint: Endpoint
) -> None:
    """What tells it of something is committed, and takes its rows with it."""
    errors: list[Exception] = []

    def delete() -> None:
        try:
            delete_endpoint(actor=owner, endpoint=endpoint)
        except Exception as error:  # noqa: BLE001  told below
            errors.append(error)
        finally:
            connection.close()

    job = submit(acme, "a")
    with transaction.atomic():
        read_next()
        deleting = threading.Thread(target=delete)
        deleting.start()
        deleting.join(0.3)
        assert deleting.is_alive()  # it waits for us
    deleting.join(10)
    job.refresh_from_db()
    assert (job.state, errors) == ("succeeded", [])
    assert not Delivery.objects.exists()
    assert not Endpoint.objects.exists()


def test_what_members_want_sent_here_is_told_once_for_all_of_them(
    acme: Organization, owner: Actor, bob: User, receiver: Receiver, work: Work
) -> None:
    add_endpoint(actor=owner, url=receiver.url, events=["notification.created"])
    for user in (owner.user, bob):
        set_choices(user=user, choices={"message": Choice(webhook=True)})
    for title in ("One", "One", "Two"):
        notify(
            kind="message",
            key="message:1",
            organization_id=acme.pk,
            users=[owner.user.pk, bob.pk],
            facts={"title": title, "text": "Read this."},
        )
    work()
    told = [json.loads(each.body) for each in receiver.sent]
    assert {each["type"] for each in told} == {"notification.created"}
    assert [each["data"]["facts"]["title"] for each in told] == ["One", "Two"]
    members = {str(each.public_id) for each in Membership.objects.filter(organization=acme)}
    assert all(set(each["data"]["members"]) == members for each in told)


@pytest.mark.postgres
def test_an_endpoint_is_disabled_while_others_are_told_something(
    acme: Organization, owner: Actor
) -> None:
    """Who tells has the first and wants the second; who disables the second tells the first."""
    url, events = "https://acme.example/hook", ["notification.created"]
    first, second = (add_endpoint(actor=owner, url=url, events=events)[0] for _ in range(2))
    set_choices(user=owner.user, choices={"webhook_disabled": Choice(webhook=True)})
    delivery = send_test(actor=owner, endpoint=second)
    gone = Outcome(timezone.now(), 5, 410, "It answered 410.", "webhook.status")
    mine = Endpoint.objects.select_for_update(no_key=True)
    with transaction.atomic():
        mine.get(pk=first.pk)
        noting = Meanwhile(lambda: note(delivery, gone, is_last=True))
        mine.get(pk=second.pk)
    noting.join()
    assert noting.errors == []
    second.refresh_from_db()
    assert (second.state, delivery.log.count()) == ("disabled", 1)
    assert Delivery.objects.filter(endpoint=first, event="notification.created").count() == 1
