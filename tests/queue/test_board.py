"""The board of the queue: what it tells, to whom, and that it costs the same for much as for
little."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import Organization, User
from apps.accounts.services import create_organization
from apps.jobs.models import BatchFile
from apps.queue.handlers import handler_classes
from apps.queue.lanes import pause_for, set_limits
from apps.queue.models import PeriodicRun, WorkerNode, WorkItem
from apps.queue.pauses import pause
from apps.queue.states import State
from apps.queue.throughput import roll_up
from apps.queue.worker import register, unregister
from tests.operators import staff, superuser
from tests.queue.volumes import attempts, files, worker
from tests.volume import analyze

BOARD = reverse("admin:queue_board_changelist")


@pytest.fixture
def operator(db: None) -> Client:
    return superuser()


def text_of(html: str) -> str:
    """Without its marks."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def row_of(client: Client, name: str) -> str:
    """What the board's row with that heading says."""
    html = client.get(BOARD).content.decode()
    [row] = [
        row
        for row in re.findall(r"<tr.*?</tr>", html, re.DOTALL)
        if re.search(rf'<th scope="row">(<a [^>]*>)?{name}(</a>)?</th>', row)
    ]
    return text_of(row)


def test_a_lane_shows_what_waits_what_runs_and_its_limit(
    operator: Client, acme: Organization
) -> None:
    files(acme, 3)
    files(acme, 2, State.RETRY_WAIT)
    files(acme, 4, is_held=True)
    files(acme, 1, State.RETRY_WAIT, is_held=True)
    files(acme, 2, State.RUNNING, workers=[worker("default")])
    files(acme, 6, State.SUCCEEDED)
    files(acme, 1, lane="ocr")
    BatchFile.objects.filter(lane="ocr").update(available_at=Now() - timedelta(minutes=5))
    assert row_of(operator, "default").startswith("default 2 of 3 3 2 5 ")
    assert row_of(operator, "ocr").startswith("ocr 0 of 2 1 0 0 5 min")
    assert row_of(operator, "heavy") == "heavy 0 of 1 0 0 0 - open Pause"


def test_what_waits_for_its_retry_only_waits_since_nothing(
    operator: Client, acme: Organization
) -> None:
    files(acme, 1, State.RETRY_WAIT)
    BatchFile.objects.update(available_at=Now() + timedelta(minutes=5))
    assert row_of(operator, "default") == "default 0 of 3 0 1 0 - open Pause"


@pytest.mark.parametrize("lane_limit", [7, None])
def test_a_limit_is_the_operators_else_the_settings(
    operator: Client, acme: Organization, alice: User, lane_limit: int | None
) -> None:
    set_limits(by=alice, lane="ocr", max_running=lane_limit, max_running_per_organization=2)
    assert row_of(operator, "ocr").startswith(f"ocr 0 of {lane_limit or 2} (2 for one)")


def test_a_count_leads_to_the_list_of_what_it_counts(operator: Client, acme: Organization) -> None:
    files(acme, 2)
    files(acme, 1, is_held=True)
    files(acme, 1, State.RUNNING, workers=[worker("default")])
    files(acme, 1, State.RETRY_WAIT)
    html = operator.get(BOARD).content.decode()
    links = re.findall(r'<a href="(/admin/jobs/batchfile/\?[^"]*)">(\d+)</a>', html)
    assert len(links) == 4
    for url, count in links:
        answer = operator.get(url.replace("&amp;", "&"))
        assert answer.status_code == 200, url
        assert len(answer.context["cl"].result_list) == int(count), url


def test_kinds_of_work_in_one_lane_are_told_apart(operator: Client, acme: Organization) -> None:
    files(acme, 2)
    for number in range(3):
        WorkItem.objects.create(kind="jobs.bulk", title=f"Work {number}", lane="default")
    assert row_of(operator, "default").startswith("default 0 of 3 2 batch files + 3 work items 0 ")
    html = operator.get(BOARD).content.decode()
    [url] = re.findall(r'<a href="(/admin/queue/workitem/\?[^"]*)">3 work items</a>', html)
    answer = operator.get(url.replace("&amp;", "&"))
    assert answer.status_code == 200
    assert len(answer.context["cl"].result_list) == 3


def test_a_worker_shows_what_it_runs(operator: Client, acme: Organization) -> None:
    [busy, other] = worker("default", "ocr", host="mill"), worker("heavy", host="barn")
    [file] = files(acme, 1, State.RUNNING, workers=[busy])
    row = row_of(operator, "mill:4711")
    assert "0.1.0 default, ocr 1 of 3" in row
    assert "1.txt default: reading, 25%, for 0." in row
    assert row_of(operator, "barn:4711").endswith("ago nothing")
    html = operator.get(BOARD).content.decode()
    assert reverse("admin:jobs_batchfile_change", args=[file.pk]) in html
    assert reverse("admin:queue_workernode_change", args=[other.pk]) in html


def test_a_worker_registers_with_the_version_that_it_runs(
    operator: Client, settings: Settings
) -> None:
    settings.VERSION = "7.8.9"
    register(["default"], 2)
    try:
        assert WorkerNode.objects.get().version == "7.8.9"
    finally:
        unregister()


def test_a_worker_that_is_not_heard_of_is_told(operator: Client, acme: Organization) -> None:
    worker("default", host="mill", seen=25)
    worker("default", host="barn", seen=45)
    assert "silent" not in row_of(operator, "mill:4711")
    assert "silent for 45." in row_of(operator, "barn:4711")


def test_what_a_worker_that_is_gone_held_is_told(operator: Client, acme: Organization) -> None:
    gone = worker("default")
    files(acme, 1, State.RUNNING, workers=[gone])
    assert "workers that are gone" not in text_of(operator.get(BOARD).content.decode())
    gone.delete()
    html = operator.get(BOARD).content.decode()
    assert "Held by workers that are gone" in html
    assert "No worker is running: nothing is processed." in html


@pytest.mark.parametrize(("age", "is_late"), [(None, True), (5, False), (45, True)])
def test_a_queue_that_nobody_looks_after_is_told(
    operator: Client, age: float | None, is_late: bool
) -> None:
    if age is not None:
        PeriodicRun.objects.create(name="sweep", started_at=timezone.now() - timedelta(seconds=age))
    told = "The queue is not looked after" in operator.get(BOARD).content.decode()
    assert told is is_late


def test_pauses_say_who_and_why(
    operator: Client, acme: Organization, alice: User, other: Organization
) -> None:
    pause(by=alice, lane="ocr", reason="New dictionaries")
    pause(by=alice, organization=other, reason="Asked for it")
    pause_for("heavy", seconds=60, reason="The disk is full")
    assert "Alice" not in row_of(operator, "ocr")
    assert "paused" in row_of(operator, "ocr")
    assert "open" in row_of(operator, "default")
    row = row_of(operator, "Lane ocr for all organizations")
    assert "New dictionaries alice@example.com" in row
    assert row.endswith("somebody resumes it Resume")
    assert "Asked for it" in row_of(operator, "Every lane for Other")
    assert "The disk is full Docmill" in row_of(operator, "Lane heavy for all organizations")
    pause(by=alice, reason="Moving house")
    assert "paused" in row_of(operator, "default")


def test_the_admin_leads_to_it(operator: Client) -> None:
    for page in (reverse("admin:index"), reverse("admin:app_list", args=["queue"])):
        assert f'href="{BOARD}"' in operator.get(page).content.decode()


def test_who_may_only_look_finds_nothing_to_press_and_no_names(acme: Organization) -> None:
    client = staff("view_board")
    files(acme, 1, State.RUNNING, workers=[worker("default")])
    pause(by=None, lane="ocr", reason="Why")
    html = client.get(BOARD).content.decode()
    assert "1.txt" not in html
    assert "/admin/jobs/" not in html
    assert "/pause/" not in html
    assert "/resume/" not in html
    assert "/admin/queue/lane/" not in html
    assert row_of(client, "default").startswith("default 1 of 3")


def test_who_may_not_look_does_not_see_it(acme: Organization) -> None:
    assert staff("view_batchfile").get(BOARD).status_code == 403
    assert Client().get(BOARD).status_code == 302


def test_what_ended_is_drawn_and_told(operator: Client, acme: Organization) -> None:
    [file] = files(acme, 1)
    attempts(file, *[timezone.now()] * 3)
    attempts(file, timezone.now(), outcome="quarantined", seconds=6)
    attempts(file, timezone.now() - timedelta(days=3), outcome="retry")
    assert "svg class=" not in operator.get(BOARD).content.decode()
    roll_up()
    words = text_of(operator.get(BOARD).content.decode())
    assert "4 attempts ended: 3 succeeded, 1 failed. Average run: 3.0 s." in words
    assert "5 attempts ended: 3 succeeded, 1 tried again, 1 failed. Average run: 2.8 s." in words
    html = operator.get(BOARD).content.decode()
    assert len(re.findall(r'<svg class="chart"', html)) == 6
    assert "style=" not in re.sub(r'<link rel="stylesheet"[^>]*>', "", html)


@pytest.fixture
def much(acme: Organization, alice: User, settings: Settings) -> None:
    """Forty of everything."""
    settings.QUEUE_LANES = settings.QUEUE_LANES | {f"lane{n}": n + 1 for n in range(40)}
    workers = [worker("default", host=f"host{n}") for n in range(40)]
    for number in range(40):
        owned = create_organization(name=f"Organization {number}", owner=alice)
        lane = f"lane{number}"
        set_limits(by=alice, lane=lane, max_running=3, max_running_per_organization=1)
        pause(by=alice, lane=lane, organization=owned, reason="Why")
        files(owned, 2, lane=lane)
        [file] = files(owned, 1, State.RUNNING, lane=lane, workers=workers[number:])
        attempts(file, timezone.now() - timedelta(hours=number))
    roll_up()


def queries_of(client: Client) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(BOARD).status_code == 200
    return [query["sql"] for query in queries]


def test_it_takes_as_many_queries_for_much_as_for_little(
    operator: Client, acme: Organization, alice: User, request: pytest.FixtureRequest
) -> None:
    pause(by=alice, lane="ocr", reason="Why")
    files(acme, 1, State.RUNNING, workers=[worker("default"), worker("ocr")])
    little = queries_of(operator)
    request.getfixturevalue("much")
    assert "lane39" in row_of(operator, "lane39")
    assert len(queries_of(operator)) == len(little) <= 10 + 4 * len(handler_classes())


def plans_of(work: Callable[[], object]) -> list[str]:
    """How the database goes about each statement of `work`, with parameters as they were sent."""
    sent: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        sent.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        work()
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    plans = []
    with connection.cursor() as cursor:
        for sql, params in sent:
            if sql.lstrip().startswith(("SELECT", "INSERT")):
                cursor.execute(f"{explain} {sql}", params)
                plans.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
    return plans


def test_neither_it_nor_the_count_reads_a_whole_table(operator: Client, acme: Organization) -> None:
    for state, count in ((State.SUCCEEDED, 5000), (State.QUEUED, 100), (State.RUNNING, 5)):
        made = files(acme, count, state)
    now = timezone.now()
    attempts(made[0], *(now - timedelta(minutes=3 * minutes) for minutes in range(9000)))
    roll_up()
    analyze()
    plans = plans_of(lambda: operator.get(BOARD)) + plans_of(roll_up)
    assert any("batchfile_waiting" in plan for plan in plans)
    assert any("fileattempt_ended" in plan for plan in plans)
    for plan in plans:
        for table in ("jobs_batchfile", "jobs_fileattempt"):
            assert f"Seq Scan on {table}" not in plan
            assert not re.search(rf"SCAN {table}(?! USING( COVERING)? INDEX)", plan), plan
