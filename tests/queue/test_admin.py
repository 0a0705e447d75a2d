"""Recurring work in the admin: what ran when, what is overdue, and having it run now."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.audit.models import AuditEntry
from apps.queue.admin.schedules import in_words
from apps.queue.models import PeriodicRun
from apps.queue.recurring import recurring
from apps.queue.schedule import begin, scheduled_runs
from tests.operators import staff, superuser, told

LIST = reverse("admin:queue_periodicrun_changelist")


@pytest.fixture
def operator(db: None) -> Client:
    scheduled_runs()
    return superuser()


def row_of(client: Client, name: str) -> str:
    """What the list shows of an entry, without its marks."""
    html = client.get(LIST).content.decode()
    [row] = [row for row in html.split("<tr") if recurring()[name].label in row]
    return " ".join(re.sub(r"<[^>]*>", " ", row).split())


def set_run(name: str, **changes: Any) -> None:
    assert PeriodicRun.objects.filter(pk=name).update(**changes)


def ago(**span: float) -> Any:
    return Now() - timedelta(**span)


def run_now(client: Client, *names: str, confirmed: bool = True) -> Any:
    form = {"action": "run_now", "_selected_action": names}
    return client.post(LIST, form | ({"confirmed": "yes"} if confirmed else {}), follow=True)


def test_every_piece_is_listed_in_words_also_what_never_ran(operator: Client) -> None:
    PeriodicRun.objects.create(name="from an older version")
    html = operator.get(LIST).content.decode()
    for entry in recurring().values():
        assert entry.label in html
        assert entry.does in html
    assert "from an older version" not in html
    assert "never run" in row_of(operator, "remove_orphans")
    assert "1 day" in row_of(operator, "remove_orphans")


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"started_at": ago(minutes=5), "finished_at": ago(minutes=4)}, ("succeeded", "1 min 0 s")),
        ({"started_at": ago(minutes=5), "finished_at": ago(minutes=4), "error": "OSError: full"},
         ("failed", "OSError: full")),
        ({"started_at": ago(days=2), "finished_at": ago(days=2)}, ("overdue", "at once")),
        ({"started_at": ago(minutes=5), "lease_expires_at": ago(seconds=-30)}, ("running",)),
        ({"started_at": ago(days=2), "lease_expires_at": ago(seconds=-30)}, ("running",)),
        ({"started_at": ago(minutes=5), "lease_expires_at": ago(minutes=4)},
         ("cut short", "at once")),
        ({"started_at": ago(minutes=5), "finished_at": ago(minutes=4), "requested_at": Now()},
         ("succeeded", "at once")),
        ({"started_at": ago(minutes=5), "finished_at": ago(minutes=4),
          "requested_at": ago(minutes=1)}, ("overdue", "at once")),
    ],
)  # fmt: skip
def test_the_state_of_a_run_is_told(
    operator: Client, changes: dict[str, Any], shown: tuple[str, ...]
) -> None:
    set_run("remove_orphans", **changes)
    row = row_of(operator, "remove_orphans")
    for words in shown:
        assert words in row


def test_its_own_page_tells_the_same(operator: Client) -> None:
    run = PeriodicRun.objects.scheduled().get(pk="sweep")
    begin(run)
    page = operator.get(reverse("admin:queue_periodicrun_change", args=["sweep"]))
    assert "Sweep the queue" in page.content.decode()
    assert "Run now" in page.content.decode()


def test_the_list_takes_few_queries(operator: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        operator.get(LIST)
    assert len(queries) <= 6


def test_a_run_is_asked_for_once_confirmed_and_on_record(operator: Client) -> None:
    page = run_now(operator, "remove_orphans", confirmed=False).content.decode()
    assert "Run now: 1 schedule" in page
    assert "Remove lost bytes" in page
    assert not PeriodicRun.objects.exclude(requested_at=None).exists()
    assert told(run_now(operator, "remove_orphans")) == ["Asked for: 1 schedule."]
    assert PeriodicRun.objects.exclude(requested_at=None).get().pk == "remove_orphans"
    assert LogEntry.objects.get().object_id == "remove_orphans"
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target_id) == ("schedule.run", "remove_orphans")
    assert entry.actor_name == "root@example.com"
    assert told(run_now(operator, "remove_orphans"))[0].startswith("Skipped: 1")


def test_who_may_only_look_can_have_nothing_run(operator: Client) -> None:
    reader = staff("view_periodicrun")
    page = reader.get(LIST).content.decode()
    assert "Sweep the queue" in page
    assert "Run now" not in page
    run_now(reader, "remove_orphans")
    assert not PeriodicRun.objects.exclude(requested_at=None).exists()
    assert staff_without_rights().get(LIST).status_code == 403


def staff_without_rights() -> Client:
    from apps.accounts.services import create_user

    client = Client()
    client.force_login(create_user(email="new@example.com", password=None, is_staff=True))
    return client


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(seconds=0.5), "0.5 seconds"),
        (timedelta(seconds=5), "5 seconds"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(seconds=90), "90 seconds"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(days=7), "7 days"),
    ],
)
def test_spans_are_told_in_the_largest_unit_that_fits(span: timedelta, words: str) -> None:
    assert in_words(span) == words
