"""SIGKILL to a real worker while it talks to a real mail server: nothing is lost or sent twice."""

from collections.abc import Callable, Iterator

import pytest
from django.utils import timezone

from apps.accounts.models import Organization, User
from apps.notifications.mails import hand_over
from apps.notifications.models import Notification
from apps.notifications.preferences import Choice, Mail
from apps.notifications.services import set_choices
from apps.queue.models import WorkItem
from tests.notifications.sink import Sink, listening
from tests.notifications.telling import tell
from tests.processes import Process, eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]

WORK = ("work", "--loop", "--lanes", "email", "--slots", "1")
QUICK = {"LEASE_SECONDS": "3", "LEASE_RENEW_SECONDS": "1", "SWEEP_SECONDS": "0.5"}


@pytest.fixture
def sink() -> Iterator[Sink]:
    with listening() as server:
        yield server


def state() -> str:
    return str(WorkItem.objects.get().state)


def test_a_worker_that_is_killed_loses_no_mail_and_none_is_sent_twice(
    acme: Organization, alice: User, sink: Sink, manage: Callable[..., Process]
) -> None:
    Notification.objects.all().delete()
    set_choices(user=alice, choices={"message": Choice(mail=Mail.AT_ONCE)})
    row = tell(alice, acme)
    assert hand_over() == 1
    settings = QUICK | {"EMAIL_URL": sink.url}

    # Before anything is sent: another worker sends it.
    sink.may_greet.clear()
    first = manage(*WORK, env=settings)
    first.wait_for(lambda: sink.greeted, seconds=90)
    assert WorkItem.objects.get().result == {}
    first.kill()
    sink.may_greet.set()
    sink.may_take.clear()
    second = manage(*WORK, env=settings)
    second.wait_for(lambda: sink.mails, seconds=90)

    # The server has it, and its answer never came: nobody sends it again.
    assert (state(), WorkItem.objects.get().result) == ("running", {"trying": 1})
    second.kill()
    sink.may_take.set()
    third = manage(*WORK, env=settings)
    eventually(lambda: state() == "failed", seconds=90)
    item = WorkItem.objects.get()
    assert (item.error_code, item.losses) == ("work.mail_unsure", 0)
    assert item.attempts == 3
    assert sink.recipients == [["alice@example.com"]]
    row.refresh_from_db()
    assert (row.mail, row.mailed_at) == (item.pk, None)

    # What comes after it is sent as ever, by the worker that is left.
    tell(alice, acme, 2)
    assert hand_over() == 1
    eventually(lambda: len(sink.mails) == 2, seconds=30)
    eventually(lambda: Notification.objects.filter(mailed_at__lte=timezone.now()).exists())
    assert [mail["Subject"] for _, mail in sink.mails] == ["Message 1", "Message 2"]
    assert third.is_running
