"""What `manage.py doctor` says of promises, what it asks before it mends, and its exit codes."""

import io
import json
import sqlite3
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.audit.models import AuditEntry
from apps.jobs import storage
from apps.jobs.models import BatchFile, BatchJob, Blob
from apps.queue.models import WorkerNode
from tests.batches import check_books, check_nothing_runs, claimed, submit
from tests.health.looking import age, alive, end_next
from tests.processes import Process

pytestmark = pytest.mark.django_db
Manage = Callable[..., Process]
RECOUNT = "count these jobs' files again, and close or open the jobs as these say"


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, settings: Settings) -> None:
    """Whatever the machine is like: only promises are looked at here."""
    settings.DOCMILL_DATA_DIR = tmp_path / "data"
    settings.PROCESSORS = ["apps.processors.text.TextProcessor"]
    alive()


class Terminal(io.StringIO):
    """Somebody who answers."""

    def isatty(self) -> bool:
        return True


def doctor(*arguments: str) -> tuple[str, int]:
    """What it prints, and its exit code."""
    out, code = StringIO(), 0
    try:
        call_command("doctor", *arguments, stdout=out, stderr=StringIO())
    except SystemExit as stop:
        code = int(str(stop.code))
    return out.getvalue(), code


def told(*arguments: str) -> tuple[dict[str, Any], int]:
    text, code = doctor("--json", *arguments)
    return json.loads(text), code


def status(report: dict[str, Any], section: str, name: str) -> str:
    [line] = (line for line in report[section] if line["name"] == name)
    return str(line["status"])


def miscount(acme: Organization) -> BatchJob:
    job = submit(acme, "one")
    end_next()
    BatchJob.objects.update(succeeded=F("succeeded") + 4)
    return job


def test_a_broken_promise_makes_the_exit_code_until_it_is_put_right(acme: Organization) -> None:
    job = miscount(acme)
    report, code = told()
    assert (report["broken"], code) == (True, 1)
    [line] = (line for line in report["jobs"] if line["name"] == "counters")
    assert (line["status"], line["count"], line["examples"]) == ("broken", 1, [str(job.pk)])
    assert line["detail"] == f"1 ({job.pk}): {line['advice']}"
    report, code = told("--fix")
    assert (report["broken"], code) == (False, 0)
    assert report["done"] == {RECOUNT: 1}
    assert status(report["before"], "Jobs", "counters") == "broken"
    assert status(report, "jobs", "counters") == "ok"
    check_books()


def test_what_cannot_be_put_right_is_broken_afterwards_too(acme: Organization) -> None:
    """And the rest is put right all the same."""
    lost, other = submit(acme, "one"), submit(acme, "two")
    file = BatchFile.objects.get(job=lost)
    assert file.content is not None
    storage.path_of(file.content).unlink()
    claimed()
    age(BatchFile, 60, "lease_expires_at")
    report, code = told("--fix")
    assert (report["broken"], code) == (True, 1)
    assert report["submit_again"] == [str(lost.pk)]
    assert status(report, "bytes", "lost bytes") == "broken"
    assert status(report, "queue", "stuck leases") == "ok"
    check_nothing_runs()
    assert Blob.objects.count() == 2
    assert other.pk


def test_a_dry_run_says_what_it_would_do_and_does_nothing(acme: Organization) -> None:
    miscount(acme)
    report, code = told("--dry-run")
    assert (report["would"], code) == ([RECOUNT], 1)
    text, _ = doctor("--fix", "--dry-run")
    assert text.endswith(f"Would do\n  {RECOUNT}\n")
    assert BatchJob.objects.get().succeeded == 5
    assert not AuditEntry.objects.filter(action="doctor.fix").exists()


@pytest.mark.parametrize(("answer", "is_done"), [("y", True), ("n", False), ("", False)])
def test_it_asks_at_a_terminal(
    answer: str, is_done: bool, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    miscount(acme)
    monkeypatch.setattr("sys.stdin", Terminal(f"{answer}\n"))
    if is_done:
        text, code = doctor("--fix")
        assert code == 0
        assert f"Done\n  {RECOUNT}: 1\n" in text
    else:
        with pytest.raises(CommandError, match="Nothing was changed"):
            doctor("--fix")
    assert (BatchJob.objects.get().succeeded == 1) == is_done


def test_not_when_it_is_told_to(acme: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    miscount(acme)
    monkeypatch.setattr("sys.stdin", Terminal(""))
    assert doctor("--fix", "--yes")[1] == 0
    assert BatchJob.objects.get().succeeded == 1


def test_nothing_to_put_right_is_no_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(""))
    text, code = doctor("--fix")
    assert (text.endswith("Done\n  nothing\n"), code) == (True, 0)
    assert not AuditEntry.objects.exists()


def test_quick_reads_neither_disk_nor_log(acme: Organization) -> None:
    submit(acme, "one")
    storage.path_of(Blob.objects.get()).unlink()
    report, code = told("--quick")
    assert {"queue", "jobs"} < set(report)
    assert not {"bytes", "audit log"} & set(report)
    assert code == 0


def test_weak_is_no_failure() -> None:
    age(WorkerNode, 45, "seen_at")
    report, code = told("--quick")
    assert (status(report, "queue", "dead workers"), code) == ("weak", 0)


@pytest.mark.once
def test_a_database_without_tables_is_a_line(manage: Manage, tmp_path: Path) -> None:
    empty = tmp_path / "empty.sqlite3"
    sqlite3.connect(empty).close()
    process = manage("doctor", "--json", env={"DATABASE_URL": f"sqlite:///{empty}"})
    assert process.wait(seconds=120) == 1
    report = json.loads(process.output[process.output.index("{") :])
    assert [line["name"] for line in report["queue"]] == ["rows"]
    assert "no such table" in report["queue"][0]["detail"]
