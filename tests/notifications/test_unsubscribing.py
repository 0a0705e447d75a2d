"""Links in mails that end them."""

from email.message import EmailMessage
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import Organization, User
from apps.notifications.mails import hand_over
from apps.notifications.preferences import Choice, Mail
from apps.notifications.services import choices_of
from tests.notifications.mailing import deliver, parts
from tests.notifications.sink import Sink
from tests.notifications.telling import tell

pytestmark = pytest.mark.django_db(transaction=True)


def unsubscribe_path(mail: EmailMessage) -> str:
    header = str(mail["List-Unsubscribe"]).strip()  # folded, for it is long
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert header.startswith("<https://docs.example.com/unsubscribe/")
    path = header.removeprefix("<https://docs.example.com").removesuffix(">")
    for part in parts(mail):
        assert path in part
    return path


def test_one_click_of_a_mail_program_ends_mails_of_the_kind(
    acme: Organization, mailed: User, sink: Sink
) -> None:
    tell(mailed, acme, 1)
    deliver()
    path = unsubscribe_path(sink.mails[0][1])
    strict = Client(enforce_csrf_checks=True)
    asked = strict.get(path)
    assert (asked.status_code, choices_of(mailed)["message"].mail) == (200, Mail.AT_ONCE)
    assert "Messages of the operators" in asked.content.decode()
    tell(mailed, acme, 2)
    answer = strict.post(path, {"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert "No more mails" in answer.content.decode()
    assert choices_of(mailed)["message"] == Choice()
    assert choices_of(mailed)["job_finished"].mail == Mail.AT_ONCE
    assert hand_over() == 0, "what was due is let go of"
    assert strict.post(path).status_code == 200


def test_the_link_of_a_digest_ends_all_mails(
    acme: Organization, mailed: User, sink: Sink, settings: Any
) -> None:
    tell(mailed, acme, 1)
    tell(mailed, acme, 2)
    deliver()
    path = unsubscribe_path(sink.mails[0][1])
    settings.ENABLE_NOTIFICATIONS = False
    assert Client().post(path).status_code == 200
    assert {choice.mail for choice in choices_of(mailed).values()} == {Mail.NEVER}


@pytest.mark.once
def test_a_link_that_is_not_good_ends_nothing_and_counts(
    acme: Organization, mailed: User, sink: Sink, settings: Any
) -> None:
    settings.LIMIT_ANONYMOUS = "2/min"
    tell(mailed, acme)
    deliver()
    path = unsubscribe_path(sink.mails[0][1])
    bad = [Client().post(f"{path[:-1]}{'a' if path[-1] != 'a' else 'b'}") for _ in range(3)]
    assert [answer.status_code for answer in bad] == [404, 404, 429]
    assert choices_of(mailed)["message"].mail == Mail.AT_ONCE
    assert Client().post(path).status_code == 200, "good links are not held up by it"
    User.objects.filter(pk=mailed.pk).delete()
    settings.LIMIT_ANONYMOUS = "unlimited"
    assert Client().get(path).status_code == 404
