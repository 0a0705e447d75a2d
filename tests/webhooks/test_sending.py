"""What is sent to endpoints, how often, and what is made of the answers."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings
from standardwebhooks import WebhookVerificationError

from apps.accounts.actor import Actor
from apps.accounts.models import Organization, User
from apps.queue.loop import work_once
from apps.queue.models import WorkItem
from apps.queue.retry import FailureClass
from apps.queue.work_items import retry_work
from apps.webhooks.models import Delivery, Endpoint, Try
from apps.webhooks.outbox import publish, redeliver, send_waiting
from apps.webhooks.patience import MAX_GIVEN_UP
from apps.webhooks.services import (
    change_endpoint,
    reveal_secret,
    secrets_of,
)
from tests.batches import submit
from tests.jobs.runs import fail_next, read_next
from tests.webhooks.conftest import Work
from tests.webhooks.messages import tell, verified
from tests.webhooks.receiver import Receiver, Sent, endlessly, slowly

HERE = "http://localhost:8000"

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_job_that_ends_is_told_once_and_signed(
    acme: Organization, owner: Actor, endpoint: Endpoint, receiver: Receiver, work: Work
) -> None:
    job = submit(acme, "a", "b")
    read_next()
    assert not Delivery.objects.exists()
    fail_next()
    work()
    [sent] = receiver.sent
    told = verified(sent, reveal_secret(actor=owner, endpoint=endpoint))
    assert told["type"] == "batch_job.partial"
    assert told["data"] | {"created_at": "", "expires_at": ""} == {
        "id": str(job.pk),
        "name": "",
        "operation": "extract",
        "state": "partial",
        "run": 1,
        "counts": {
            "total": 2,
            "succeeded": 1,
            "failed": 1,
            "quarantined": 0,
            "cancelled": 0,
            "rejected": 0,
            "duplicate": 0,
        },
        "created_at": "",
        "expires_at": "",
        "url": f"{HERE}/api/batch/jobs/{job.pk}",
        "files_url": f"{HERE}/api/batch/jobs/{job.pk}/files",
        "results_url": f"{HERE}/api/batch/jobs/{job.pk}/results.ndjson",
    }
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.tries, delivery.status) == ("delivered", 1, 204)
    assert sent.id == str(delivery.event_id)
    job.refresh_from_db()
    assert told["data"]["expires_at"] == job.expires_at.isoformat()
    with pytest.raises(WebhookVerificationError):
        verified(Sent(sent.path, sent.headers, sent.body + b" "), secrets_of(endpoint)[0])
    work()
    send_waiting()
    work()
    assert len(receiver.sent) == 1


def test_it_is_tried_again_with_the_same_id_until_it_is_taken(
    acme: Organization, endpoint: Endpoint, receiver: Receiver, work: Work
) -> None:
    receiver.answers = [500, 503, 302]
    delivery = tell(acme)
    for _ in range(6):
        work()
    assert len(receiver.sent) == 4
    assert {sent.id for sent in receiver.sent} == {str(delivery.event_id)}
    assert len({sent.body for sent in receiver.sent}) == 1
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries, delivery.status) == ("delivered", 4, 204)
    assert list(Try.objects.order_by("number").values_list("status", flat=True)) == [
        *(500, 503, 302, 204)
    ]
    endpoint.refresh_from_db()
    assert (endpoint.failed_in_row, endpoint.failing_since, endpoint.rests_until) == (0, None, None)


def test_waits_grow_and_what_the_receiver_asks_for_is_heard(
    acme: Organization, endpoint: Endpoint, receiver: Receiver, work: Work
) -> None:
    receiver.answers = [500, (429, {"Retry-After": "3000"}), (503, {"Retry-After": "999999999"})]
    tell(acme)
    found = []
    for _ in range(3):
        work()
        item = WorkItem.objects.get()
        assert item.state == "retry_wait"
        found.append((item.available_at - timezone.now()).total_seconds())
    assert found == [
        pytest.approx(5, abs=2),  # within a fifth, and what the test takes
        pytest.approx(3000, abs=5),
        pytest.approx(12 * 3600, abs=5),
    ]
    assert {item.error_class, item.error_code} == {FailureClass.TRANSIENT, "webhook.status"}


def test_after_the_last_try_it_has_failed(
    acme: Organization, endpoint: Endpoint, receiver: Receiver, work: Work, settings: Settings
) -> None:
    settings.WEBHOOK_RETRY_SECONDS = [1.0, 2.0]
    receiver.answers = [500] * 9
    delivery = tell(acme)
    for _ in range(5):
        work()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries, delivery.error) == ("failed", 3, "It answered 500.")
    assert len(receiver.sent) == 3
    assert WorkItem.objects.get().state == "failed"
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.given_up_in_row) == ("enabled", 1)


def test_a_receiver_that_is_away_costs_one_try_for_all_that_waits(
    acme: Organization, endpoint: Endpoint, receiver: Receiver, work: Work
) -> None:
    receiver.answers = [500] * 99
    for key in "abcd":
        tell(acme, key)
    work()  # all are due, and after the first the others wait
    assert len(receiver.sent) == 1
    assert WorkItem.objects.filter(state="retry_wait").count() == 4
    assert WorkItem.objects.filter(failures=0).count() == 3
    work()
    assert len(receiver.sent) == 2
    receiver.answers = []
    work()
    work()
    assert Delivery.objects.filter(state="delivered").count() == 4
    assert len(receiver.sent) == 6


def test_410_disables_at_once(
    acme: Organization,
    owner: Actor,
    endpoint: Endpoint,
    receiver: Receiver,
    work: Work,
    caplog: pytest.LogCaptureFixture,
) -> None:
    receiver.answers = [410]
    first, second = tell(acme, "1"), tell(acme, "2")
    work()
    work()
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.disabled_reason) == ("disabled", "gone")
    assert f"endpoint {endpoint.pk} is disabled: it answered 410" in caplog.text
    assert len(receiver.sent) == 1
    for each in (first, second):
        each.refresh_from_db()
        assert each.state == "failed"
    assert second.error == "The endpoint is disabled."
    publish(organization=acme, event="batch_job.failed", key="3", data={})
    assert Delivery.objects.count() == 2
    change_endpoint(actor=owner, endpoint=endpoint, changes={"enabled": True})
    redeliver(actor=owner, delivery=second)
    work()
    assert [sent.id for sent in receiver.sent[1:]] == [str(second.event_id)]


@pytest.mark.parametrize(
    ("days", "given_up", "is_disabled"),
    [
        (4.9, 0, False),
        (5.1, 0, True),
        (0.1, MAX_GIVEN_UP - 2, False),
        (0.1, MAX_GIVEN_UP - 1, True),
    ],
)
def test_an_endpoint_that_fails_for_long_is_disabled(
    acme: Organization,
    endpoint: Endpoint,
    receiver: Receiver,
    work: Work,
    settings: Settings,
    days: float,
    given_up: int,
    is_disabled: bool,
) -> None:
    settings.WEBHOOK_RETRY_SECONDS = [1.0]
    since = timezone.now() - timedelta(days=days)
    Endpoint.objects.update(failed_in_row=9, given_up_in_row=given_up, failing_since=since)
    receiver.answers = [500, 500]
    tell(acme)
    work()
    endpoint.refresh_from_db()
    assert endpoint.is_enabled  # there is another try
    work()
    endpoint.refresh_from_db()
    assert endpoint.disabled_reason == ("failing" if is_disabled else "")
    assert endpoint.is_enabled is not is_disabled


def test_a_private_target_is_refused_and_not_tried_again(
    acme: Organization, endpoint: Endpoint, receiver: Receiver, work: Work, settings: Settings
) -> None:
    settings.OUTGOING_ALLOWED_NETWORKS = []
    delivery = tell(acme)
    work()
    work()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries, delivery.status) == ("failed", 1, None)
    assert "no public network" in delivery.error
    assert not receiver.sent


def test_slow_and_endless_answers_are_bounded(
    acme: Organization, endpoint: Endpoint, receiver: Receiver, work: Work, settings: Settings
) -> None:
    settings.WEBHOOK_TIMEOUT_SECONDS = 0.4
    receiver.answers = [slowly(b"x"), endlessly]
    tell(acme)
    work()
    work()
    slow, endless = Try.objects.order_by("number")
    assert slow.status is None
    assert slow.error
    assert slow.duration_ms < 2000
    assert (endless.status, len(endless.answer)) == (200, 1024)


def test_after_a_noted_success_nothing_is_sent_again(
    acme: Organization, endpoint: Endpoint, receiver: Receiver, work: Work
) -> None:
    """The worker died after the note and before the end of its work."""
    tell(acme)
    work()
    WorkItem.objects.update(state="queued", finished_at=None)
    work()
    assert WorkItem.objects.get().state == "succeeded"
    assert (len(receiver.sent), Try.objects.count()) == (1, 1)


def test_a_failure_that_comes_late_does_not_undo_a_success(
    acme: Organization, endpoint: Endpoint, receiver: Receiver, work: Work
) -> None:
    """Its lease was lost, another worker was quicker."""
    delivery = tell(acme)

    def answer(handler: Any) -> None:
        Delivery.objects.filter(pk=delivery.pk).update(state="delivered", status=200)
        connection.close()  # of the receiver's thread
        handler.send_error(500)

    receiver.answers = [answer]
    work()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.status, delivery.tries) == ("delivered", 200, 1)


def test_while_they_are_off_events_are_kept_and_sent_later(
    acme: Organization,
    owner: Actor,
    endpoint: Endpoint,
    receiver: Receiver,
    work: Work,
    settings: Settings,
) -> None:
    before = tell(acme, "before")
    settings.ENABLE_WEBHOOKS = False
    during = tell(acme, "during")
    work()
    send_waiting()
    work()
    assert not receiver.sent
    settings.ENABLE_WEBHOOKS = True
    send_waiting()
    send_waiting()
    work()
    assert {sent.id for sent in receiver.sent} == {str(before.event_id), str(during.event_id)}
    assert len(receiver.sent) == 2


def test_what_could_not_be_worked_on_has_failed(
    acme: Organization, endpoint: Endpoint, receiver: Receiver, work: Work
) -> None:
    delivery = tell(acme)
    WorkItem.objects.update(state="quarantined", error_detail="It was lost five times.")
    send_waiting()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.error) == ("failed", "It was lost five times.")
    assert WorkItem.objects.count() == 1


def test_an_operator_goes_on_with_work_that_failed(
    acme: Organization,
    alice: User,
    endpoint: Endpoint,
    receiver: Receiver,
    work: Work,
    settings: Settings,
) -> None:
    settings.WEBHOOK_RETRY_SECONDS = [1.0]
    receiver.answers = [500, 500, 500]
    delivery = tell(acme)
    work()
    work()
    retry_work(by=alice, item=WorkItem.objects.get(state="failed"))
    work()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.ended_at) == ("pending", None)
    work()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == ("delivered", 4)


def test_redelivery_has_the_same_id_and_a_waiting_one_goes_at_once(
    acme: Organization, owner: Actor, endpoint: Endpoint, receiver: Receiver, work: Work
) -> None:
    delivery = tell(acme)
    redeliver(actor=owner, delivery=delivery)  # it is in line already
    assert WorkItem.objects.count() == 1
    work()
    delivery.refresh_from_db()
    redeliver(actor=owner, delivery=delivery)
    redeliver(actor=owner, delivery=delivery)
    work()
    assert [sent.id for sent in receiver.sent] == [str(delivery.event_id)] * 2
    receiver.answers = [500]
    redeliver(actor=owner, delivery=delivery)
    work()
    WorkItem.objects.update(available_at=timezone.now() + timedelta(hours=12))
    Endpoint.objects.update(rests_until=None)
    redeliver(actor=owner, delivery=delivery)
    work_once(["email"])
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == ("delivered", 4)
