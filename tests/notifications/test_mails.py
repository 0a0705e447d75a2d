"""Mails of notifications: what they say, when they go, what goes wrong, and none twice."""

import re
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.models import Membership, Organization, User
from apps.core import context
from apps.notifications import mails
from apps.notifications.inspection import inspect, waiting
from apps.notifications.mails import hand_over
from apps.notifications.models import Notification
from apps.notifications.preferences import Choice, Mail, due_at
from apps.notifications.services import change_choices, mark, set_choices
from apps.queue.loop import work_once
from apps.queue.models import WorkItem
from apps.queue.work_items import retry_work
from tests.batches import submit, together
from tests.jobs.forms import accepted, part
from tests.jobs.runs import read_next
from tests.notifications.mailing import deliver, parts, worked
from tests.notifications.sink import Sink
from tests.notifications.telling import fill, tell
from tests.volume import analyze

pytestmark = pytest.mark.django_db(transaction=True)


# --- what it says -------------------------------------------------------------------------------


def test_one_thing_is_one_mail_that_says_it_and_leads_there(
    acme: Organization, mailed: User, sink: Sink
) -> None:
    submit(acme, "one")
    read_next()
    row = Notification.objects.get()
    assert row.mail_due_at is not None
    item = deliver()
    assert (item.state, item.result) == ("succeeded", {"sent": 1})
    [(to, mail)] = sink.mails
    assert to == ["alice@example.com"]
    assert mail["Subject"] == "1.txt: finished"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"] == f"<{item.pk}.1@localhost>"
    link = f"https://docs.example.com/notifications/{row.pk}"
    for each in parts(mail):
        assert link in each
        assert "1 of 1 file read." in each
        assert "https://docs.example.com/notifications/preferences" in each
    row.refresh_from_db()
    assert (row.mail, row.mail_due_at) == (None, None)
    assert row.mailed_at is not None
    assert row.read_at is None
    assert hand_over() == 0


def test_words_of_others_are_no_markup_and_no_header(
    acme: Organization, mailed: User, sink: Sink
) -> None:
    tell(mailed, acme, facts={"title": "<b>A\r\nBcc: x@example.com</b> é", "text": "1 < 2\n& 3"})
    deliver()
    [(to, mail)] = sink.mails
    assert to == ["alice@example.com"]
    assert mail["Bcc"] is None
    assert mail["Subject"] == "<b>A Bcc: x@example.com</b> é"
    text, html = parts(mail)
    assert "1 < 2\n& 3" in text.replace("\r\n", "\n")
    assert "1 &lt; 2<br>&amp; 3" in html
    assert "<b>" not in html


def test_the_name_of_a_refused_file_is_one_line_of_the_mail(
    acme: Organization, mailed: User, alice_api: APIClient, sink: Sink
) -> None:
    name = b"form-data; name=\"file\"; filename*=UTF-8''a%0A%0AYour%20account%20ends%3A%1B%20pay"
    accepted(alice_api, part(disposition=name), part())
    read_next()
    deliver()
    [(_, mail)] = sink.mails
    text, _ = parts(mail)
    assert text.splitlines()[0] == "a Your account ends: pay and 1 more: partly failed"


def test_several_things_are_one_mail_for_each_person(
    acme: Organization,
    mailed: User,
    bob: User,
    sink: Sink,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And one line of the log, which has the ids of the requests that they come from."""
    caplog.set_level("INFO", logger="apps.notifications.mails")
    set_choices(user=bob, choices={"message": Choice(mail=Mail.AT_ONCE)})
    for number in (1, 2, 3):
        with context.bound(request_id=f"asked-{number}"):
            tell(mailed, acme, number, users=[mailed.pk, bob.pk])
    assert hand_over() == 2
    worked()
    assert sorted(sink.recipients) == [["alice@example.com"], ["bob@example.com"]]
    lines = [line for line in caplog.messages if "mail sent" in line]
    assert len(lines) == 2
    assert all("'request_ids': ['asked-3', 'asked-2', 'asked-1']" in line for line in lines)
    for _, mail in sink.mails:
        assert mail["Subject"] == "3 notifications of Docmill"
        text, _ = parts(mail)
        assert re.findall(r"Message \d", text) == ["Message 3", "Message 2", "Message 1"]


def test_a_long_digest_says_how_many_more_there_are(
    acme: Organization, mailed: User, sink: Sink
) -> None:
    fill(mailed, acme, 300)
    Notification.objects.update(mail_due_at=timezone.now())
    assert deliver().result == {"sent": 300}
    text, html = parts(sink.mails[0][1])
    assert text.count("Filled") == html.count("Filled") == 50
    assert "And 250 more" in text
    assert "And 250 more" in html
    assert not Notification.objects.filter(mailed_at=None).exists()


# --- when it goes -------------------------------------------------------------------------------


@pytest.mark.once
def test_digests_wait_for_their_hour(acme: Organization, alice: User) -> None:
    Notification.objects.all().delete()
    set_choices(user=alice, choices={"message": Choice(mail=Mail.HOURLY)})
    row = tell(alice, acme)
    due = due_at(Mail.HOURLY, row.told_at)
    assert row.mail_due_at is not None
    assert due is not None
    assert abs(row.mail_due_at - due) <= timedelta(hours=1)
    assert (row.mail_due_at.minute, row.mail_due_at > row.told_at) == (0, True)
    assert hand_over() == 0
    Notification.objects.update(mail_due_at=timezone.now())
    assert hand_over() == 1


def test_what_was_read_or_is_wanted_no_more_is_not_mailed(
    acme: Organization, mailed: User, sink: Sink
) -> None:
    tell(mailed, acme, 1)
    submit(acme, "one")
    read_next()
    tell(mailed, acme, 2)
    assert hand_over() == 1
    mark(Notification.objects.filter(key="message:1"), read=True)
    change_choices(user=mailed, changes={"job_finished": {"mail": Mail.NEVER}})
    worked()
    [(_, mail)] = sink.mails
    assert mail["Subject"] == "Message 2"


@pytest.mark.parametrize("why", ["inactive", "left", "off", "read"])
def test_nothing_is_mailed_to_who_should_have_nothing(
    acme: Organization, mailed: User, sink: Sink, settings: Any, why: str
) -> None:
    tell(mailed, acme)
    assert hand_over() == 1
    if why == "inactive":
        User.objects.filter(pk=mailed.pk).update(is_active=False)
    elif why == "left":
        Membership.objects.filter(user=mailed, organization=acme).delete()
    elif why == "read":
        mark(Notification.objects.all(), read=True)
    else:
        settings.ENABLE_NOTIFICATIONS = False
    item = worked()
    assert (item.state, item.result) == ("succeeded", {"sent": 0})
    assert not sink.mails


def test_what_is_only_mailed_can_be_opened(
    acme: Organization, mailed: User, sink: Sink, alice_web: Client
) -> None:
    set_choices(user=mailed, choices={"message": Choice(in_app=False, mail=Mail.AT_ONCE)})
    row = tell(mailed, acme)
    deliver()
    assert len(sink.mails) == 1
    assert alice_web.get(f"/notifications/{row.pk}")["Location"] == "/notifications"


def test_a_later_state_is_mailed_in_place_of_the_earlier(
    acme: Organization, mailed: User, sink: Sink
) -> None:
    tell(mailed, acme)
    assert hand_over() == 1
    tell(mailed, acme, facts={"title": "The latest", "text": ""})
    assert hand_over() == 1
    worked()
    assert [mail["Subject"] for _, mail in sink.mails] == ["The latest"]
    assert sorted(item.result["sent"] for item in WorkItem.objects.all()) == [0, 1]


def test_many_who_hand_over_at_once_make_one_mail(
    acme: Organization, mailed: User, sink: Sink
) -> None:
    for number in range(5):
        tell(mailed, acme, number)
    together([partial(hand_over)] * 6)
    while hand_over():
        pass
    worked()
    sent = [item.result["sent"] for item in WorkItem.objects.all()]
    assert (sum(sent), len(sink.mails)) == (5, len(sent))
    text = "".join(parts(mail)[0] for _, mail in sink.mails)
    assert sorted(re.findall(r"Message (\d)", text)) == list("01234")


# --- what goes wrong ----------------------------------------------------------------------------


def test_a_server_that_is_away_is_asked_again_for_as_long_as_it_takes(
    acme: Organization, mailed: User, sink: Sink, settings: Any
) -> None:
    tell(mailed, acme)
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    item = deliver()
    waits = []
    for _ in range(6):
        assert (item.state, item.error_code, item.failures) == ("retry_wait", "work.mail_server", 0)
        waits.append(round((item.available_at - timezone.now()).total_seconds()))
        assert "alice" not in item.error_detail
        item = worked()
    assert waits[0] < waits[1] < waits[2] <= 3600
    settings.EMAIL_PORT = port
    item = worked()
    assert (item.state, item.result) == ("succeeded", {"sent": 1})
    assert len(sink.mails) == 1


@pytest.mark.parametrize(
    "answer",
    [("RCPT", "451 greylisted"), ("DATA", "452 full"), ("TAKEN", "451 no"), ("MAIL", "550 who")],
)
def test_what_was_put_off_is_sent_later_and_once(
    acme: Organization, mailed: User, sink: Sink, answer: tuple[str, str]
) -> None:
    tell(mailed, acme)
    sink.answers.append(answer)
    item = deliver()
    assert (item.state, item.error_code, item.result) == ("retry_wait", "work.mail_server", {})
    assert not sink.mails
    assert worked().state == "succeeded"
    assert len(sink.mails) == 1


@pytest.mark.parametrize("answer", [("RCPT", "550 nobody"), ("TAKEN", "554 spam")])
def test_what_was_refused_for_good_is_not_tried_again(
    acme: Organization, mailed: User, sink: Sink, answer: tuple[str, str]
) -> None:
    tell(mailed, acme)
    sink.answers.append(answer)
    item = deliver()
    assert (item.state, item.error_code) == ("failed", "work.mail_refused")
    assert "alice" not in item.error_detail
    worked()
    assert not sink.mails
    assert Notification.objects.get().mailed_at is None


def test_what_may_have_been_taken_is_not_sent_again_unless_somebody_says_so(
    acme: Organization, mailed: User, sink: Sink
) -> None:
    row = tell(mailed, acme)
    sink.answers.append(("TAKEN", "break off"))
    item = deliver()
    assert (item.state, item.error_code) == ("failed", "work.mail_unsure")
    assert item.result == {"trying": 1}
    row.refresh_from_db()
    assert (row.mail, row.mailed_at) == (item.pk, None)
    worked()
    assert len(sink.mails) == 1
    retry_work(by=mailed, item=item)
    item = worked()
    assert (item.state, item.result) == ("succeeded", {"sent": 1})
    assert [mail["Message-ID"].partition(".")[2][0] for _, mail in sink.mails] == ["1", "2"]


def test_a_worker_that_lost_its_lease_writes_nothing(
    acme: Organization, mailed: User, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mail went out, but another worker may have the item by now: that one finds the note."""
    tell(mailed, acme)
    from apps.core.ids import uuid7

    noted = mails._note

    def note_and_lose(item: WorkItem, result: dict[str, Any]) -> None:
        noted(item, result)
        WorkItem.objects.filter(pk=item.pk).update(lease_token=uuid7())

    monkeypatch.setattr(mails, "_note", note_and_lose)
    assert hand_over() == 1
    work_once(["email"])
    item = WorkItem.objects.get()
    assert (item.state, item.result) == ("running", {"trying": 1})
    monkeypatch.undo()
    WorkItem.objects.update(lease_expires_at=timezone.now() - timedelta(minutes=1))
    item = worked()
    assert (item.state, item.error_code) == ("failed", "work.mail_unsure")
    assert len(sink.mails) == 1


def test_doctor_finds_mails_that_do_not_go_out(
    acme: Organization, mailed: User, sink: Sink
) -> None:
    def found() -> dict[str, int]:
        return {each.name: each.count for each in inspect()}

    tell(mailed, acme)
    assert found() == {"mails that wait": 0, "unsent mails": 0}
    Notification.objects.update(mail_due_at=timezone.now() - timedelta(minutes=11))
    assert found() == {"mails that wait": 1, "unsent mails": 0}
    sink.answers.append(("RCPT", "550 nobody"))
    item = deliver()
    assert found() == {"mails that wait": 0, "unsent mails": 1}
    assert "work.mail_refused" in inspect()[1].detail
    retry_work(by=mailed, item=item)
    worked()
    assert found() == {"mails that wait": 0, "unsent mails": 0}


def test_what_is_due_and_what_is_handed_over_is_found_by_an_index(
    acme: Organization, alice: User
) -> None:
    fill(alice, acme, 3000)
    Notification.objects.filter(key__endswith="77").update(mail_due_at=timezone.now())
    analyze()
    assert "notification_due" in waiting().order_by("mail_due_at")[:100].explain()
    handed = Notification.objects.filter(mail=alice.personal_organization.pk)
    assert "notification_mail" in handed.explain()
