"""An installation with work of every sort is backed up, and restored elsewhere: nothing of it is
lost, nothing is done twice, and doctor finds nothing."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.accounts.services import create_api_key
from apps.audit.checkpoints import make_checkpoints
from apps.backups import making
from apps.jobs import cleanup, storage
from apps.jobs.models import BatchJob, Blob, KeptBytes
from apps.jobs.states import CLOSED
from apps.notifications.models import Notification
from apps.queue.models import WorkItem
from apps.queue.work_items import MAILS, submit_work
from apps.webhooks.models import Endpoint
from apps.webhooks.services import add_endpoint, secrets_of
from tests.backups.contents import bytes_in, rows_in, without
from tests.backups.elsewhere import installation
from tests.batches import claimed, owner_of, submit, submit_exactly
from tests.health.looking import end_next, under_load
from tests.jobs.exporting import built

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]
WEBHOOK_URL = "https://example.com/hooks"
SETTLED = (
    # what ran or waited to be sent, and what says so
    *("jobs_batchfile", "jobs_batchjob", "jobs_fileattempt", "queue_workitem", "queue_workattempt"),
    *("audit_auditentry", "audit_chain", "backups_backup", "queue_lane"),
)


@pytest.fixture
def full(acme: Organization, alice: User, bob: User, alice_api: APIClient) -> Organization:
    """With jobs in every state, results, exports, mails, webhooks and keys."""
    under_load(acme)
    job = submit(acme, "with a result")
    while BatchJob.objects.get(pk=job.pk).state not in CLOSED:
        end_next()
    built(alice_api, str(job.pk))
    submit(acme, "runs when the backup is made")
    claimed()
    add_endpoint(actor=owner_of(acme), url=WEBHOOK_URL, events=["job.completed"], name="Books")
    submit_work(by=alice, kind="mail.reset", title="Mail", payload={"user": alice.pk}, lane=MAILS)
    return acme


LOOK = """
import json
from apps.accounts.models import ApiKey
from apps.audit.verifying import verify_all
from apps.queue.models import WorkItem, WorkerNode
from apps.webhooks.models import Endpoint
from apps.webhooks.services import secrets_of
from django.conf import settings
from django.test import Client
answer = Client(headers={{"Authorization": "Bearer {token}"}}).get("/api/batch/jobs")
print(json.dumps({{
    "flaws": [str(flaw) for flaw in verify_all()],
    "jobs": len(answer.json()["results"]),
    "secrets": [secrets_of(each) for each in Endpoint.objects.all()],
    "mails": [item.state for item in WorkItem.objects.filter(kind="mail.reset")],
    "running": WorkItem.objects.running().count(),
}}))
"""


def test_what_is_restored_is_what_was_there(
    full: Organization, alice: User, tmp_path: Path, data_dir: Path, settings: Settings
) -> None:
    _, token = create_api_key(organization=full, user=alice, name="kept")
    (data_dir / "secret_key").write_text(settings.SECRET_KEY)
    (data_dir / "audit_key").write_text(settings.AUDIT_SIGNING_KEY)
    assert make_checkpoints()
    made = making.make(making.plan(tmp_path / "backups"))
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert made.lost == made.damaged == []
    with installation(tmp_path, ALLOWED_HOSTS="testserver") as there:
        told, backup = there.told(["restore", made.path], ["backup", tmp_path / "again"])
        # With the restored keys, which the next process reads.
        (_, doctor, _), (_, looked, _) = there.run(
            ["doctor", "--json"], then=LOOK.format(token=token)
        )
    report = json.loads(doctor)
    assert told["warnings"] == []
    assert told["done"]["handed back"] >= 1
    assert json.loads(looked) == {
        "flaws": [],
        "jobs": BatchJob.objects.in_organization(full).count(),
        "secrets": [secrets_of(each) for each in Endpoint.objects.all()],
        "mails": ["cancelled"],
        "running": 0,
    }
    assert wrong_in(report) <= NOT_OF_ROWS
    before, after = rows_in(made.path), rows_in(Path(backup["path"]))
    assert before.keys() == after.keys()
    assert without(after, *SETTLED) == without(before, *SETTLED)
    assert bytes_in(Path(backup["path"])) == bytes_in(made.path)
    assert _runs(before) >= 1
    assert _runs(after) == 0
    waited = {row["id"] for row in before["jobs_batchfile"] if row["state"] == "running"}
    there_now = {row["id"]: row["state"] for row in after["jobs_batchfile"]}
    assert {there_now[pk] for pk in waited} == {"queued"}


NOT_OF_ROWS = {"unserved lanes", "beat", "redis", "data directory"}
"""What doctor misses where nothing runs."""


def _runs(rows: Any) -> int:
    files = [row for row in rows["jobs_batchfile"] if row["state"] == "running"]
    return len(files)


def wrong_in(report: Any) -> set[str]:
    """Names of what doctor complains of."""
    lines = [line for part in report.values() if isinstance(part, list) for line in part]
    return {line["name"] for line in lines if line["status"] in ("weak", "broken")}


NEW_ROW = """
from apps.accounts.services import create_user
create_user(email="new@example.com", password=None, name="New")
"""
"""Its number must be behind those that were restored."""


@pytest.mark.postgres
def test_a_laptop_becomes_a_server(full: Organization, tmp_path: Path) -> None:
    """From SQLite to PostgreSQL and back, and every row is the same."""
    first = making.make(making.plan(tmp_path / "one")).path
    with installation(tmp_path, vendor="sqlite") as laptop, installation(tmp_path) as server:
        _, made = laptop.told(["restore", first], ["backup", tmp_path / "two"])
        second = Path(made["path"])
        done = server.run(
            ["restore", second, "--json"], ["backup", tmp_path / "three", "--json"], then=NEW_ROW
        )
        third = Path(json.loads(done[1][1])["path"])
    changed = ("audit_auditentry", "audit_chain", "backups_backup")
    assert without(rows_in(third), *changed) == without(rows_in(second), *changed)
    assert bytes_in(third) == bytes_in(first)


def test_bytes_that_go_meanwhile_are_in_it_and_it_is_of_one_moment(
    acme: Organization, tmp_path: Path
) -> None:
    """Jobs come and go as fast as they can while a backup is made."""
    for number in range(30):
        submit_exactly(acme, f"old {number}")
        end_next()
    stop = threading.Event()
    came: list[int] = []

    def come_and_go() -> None:
        try:
            while not stop.is_set():
                submit_exactly(acme, f"new {len(came)}")
                came.append(1)
                closed = BatchJob.objects.filter(state__in=CLOSED).order_by("pk")
                cleanup.remove(closed, limit=2)
                storage.remove_orphans()
        finally:
            connection.close()

    thread = threading.Thread(target=come_and_go)

    def tell(done: int, total: int) -> None:
        if done and not thread.is_alive() and not stop.is_set():
            thread.start()
        while thread.is_alive() and len(came) < 5:
            time.sleep(0.05)

    made = making.make(making.plan(tmp_path / "backups"), tell=tell)
    stop.set()
    thread.join()
    assert len(came) >= 5
    assert made.lost == made.damaged == []
    rows = rows_in(made.path)
    wanted = {row["sha256"] for row in rows["jobs_blob"]}
    assert {name[-64:] for name in bytes_in(made.path)} == wanted
    assert len(rows["jobs_batchjob"]) == 30
    assert not KeptBytes.objects.exists()
    # What went meanwhile left its bytes behind; now they go.
    storage.remove_orphans()
    left = {path.name for path in storage.blobs().glob("*/*/*")}
    assert left == set(Blob.objects.values_list("sha256", flat=True))
    with installation(tmp_path) as there:
        _, report = there.told(["restore", made.path], ["doctor"])
    assert wrong_in(report) <= NOT_OF_ROWS


def test_a_mail_that_was_sent_is_not_sent_again(
    acme: Organization, alice: User, tmp_path: Path
) -> None:
    job = submit(acme, "one")
    end_next()
    assert Notification.objects.filter(user=alice).exists()
    Notification.objects.update(mail_due_at=job.created_at)
    made = making.make(making.plan(tmp_path / "b"))
    with installation(tmp_path) as there:
        again = ["restore", made.path, "--force", "--send-waiting"]
        first, second = (
            json.loads(out)
            for _, out, _ in there.run(
                ["restore", made.path, "--json"],
                ["backup", tmp_path / "one", "--json"],
                [*again, "--json"],
                ["backup", tmp_path / "two", "--json"],
            )[1::2]
        )
    due = [
        [row["mail_due_at"] for row in rows_in(Path(each["path"]))["notifications_notification"]]
        for each in (first, second)
    ]
    assert not any(due[0])
    assert all(due[1])
    assert len(due[1]) >= 1
    assert WorkItem.objects.count() == 0


@pytest.mark.once
def test_another_key_is_told(acme: Organization, tmp_path: Path) -> None:
    made = making.make(making.plan(tmp_path / "b", has_secrets=False))
    with installation(tmp_path) as there:
        [told] = there.told(["restore", made.path])
    [warning] = told["warnings"]
    assert "SECRET_KEY_FALLBACKS" in warning
