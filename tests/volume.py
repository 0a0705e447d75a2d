"""A database with much in it, the ways to its rows that people and processes go, and how the
database finds them: for a test with some ten thousand files, and `python -m benchmarks.plans` with
a million.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import Model
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.audit.models import AuditEntry
from apps.audit.services import record
from apps.core.admin import COUNT_LIMIT
from apps.jobs import cleanup
from apps.jobs.models import (
    BatchFile,
    BatchJob,
    Blob,
    Export,
    FileAttempt,
    FileResult,
    IdempotencyKey,
)
from apps.jobs.services import following
from apps.jobs.services.submitting import ranks_for
from apps.notifications.cleanup import too_old
from apps.notifications.models import Notification
from apps.queue import sweep
from apps.queue.claim import claim
from apps.queue.models import WorkItem
from apps.webhooks.models import Delivery
from benchmarks.queueing.volume import insert, series
from benchmarks.queueing.volume import uuid as numbered
from tests.batches import submit
from tests.jobs.runs import fail_next, read_next

FILES_OF_A_JOB = 20
BIG = (BatchJob, BatchFile, FileAttempt, FileResult, Blob, Notification, AuditEntry, Delivery)
BIG += (WorkItem, IdempotencyKey, Session, Export)
FEW_ROWS = 3000
"""So many may be read or put in order for one page or one step: a line is read up to 1000 places, a
page of a job may have so many files."""
COUNTED = COUNT_LIMIT + 1
"""Lists of the admin count what they show up to here."""

STEPS_OF_A_ROW = 60
"""Of SQLite's machine, for one that has all columns read."""


@dataclass
class World:
    """What is asked about: the organization that has all of it, and things of its middle."""

    organization: Organization
    user: User
    job: BatchJob
    file: BatchFile
    api: APIClient
    browser: Client
    operator: Client


def fill(files: int, organization: Organization, user: User) -> tuple[BatchJob, BatchFile]:
    """`files` files in jobs of 20 with their attempts, results and bytes, of which one in fifty
    failed and one in fifty waits; notifications, audit entries and the rest beside them. A job and
    a file of the middle."""
    read, failed, waits = _templates(organization, user)
    jobs = files // FILES_OF_A_JOB
    of_jobs = f"{series(0, jobs - 1)}"
    state = "CASE n % 50 WHEN 0 THEN 'failed' WHEN 1 THEN 'running' ELSE 'succeeded' END"
    earlier = {name: _earlier(name) for name in ("created_at", "finished_at", "expires_at")}
    total = f"{FILES_OF_A_JOB}"
    many = {"id": numbered("n", 1), "state": state, "total": total, "succeeded": total, **earlier}
    insert(BatchJob, read.job, of_jobs, many)
    owned = {"job_id": numbered(f"n / {FILES_OF_A_JOB}", 1)}
    owned |= {"position": f"1 + n % {FILES_OF_A_JOB}", "name": "'file-' || n || '.pdf'"}
    for template, part in ((read, "> 1"), (failed, "= 0"), (waits, "= 1")):
        source = f"(SELECT n FROM {series(0, files - 1)} WHERE n % 50 {part}) AS s"
        own = {"id": numbered("n", 2), "sha256": _digest(), "work_key": "'key' || n", **owned}
        own |= {"fair_rank": "n", "created_at": _earlier("created_at")}
        own["finished_at"] = _earlier("finished_at")
        _with_bytes(template, source, own)
    _others(files // FILES_OF_A_JOB, organization, user)
    analyze()
    middle = BatchJob.objects.get(pk=_id_of(jobs // 2, 1))
    return middle, middle.files.order_by("position")[5]


def analyze() -> None:
    """Tells the database how much is in each table. A bare ANALYZE of PostgreSQL looks at the
    catalogs that all databases of a server share, too: two of it wait for the end of each other's
    transaction."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"ANALYZE {connection.ops.quote_name(table)}")


def _templates(organization: Organization, user: User) -> tuple[BatchFile, BatchFile, BatchFile]:
    """One file that was read, one that failed, one that waits, each in a job of its own."""
    jobs = [submit(organization, word) for word in ("read", "failed")]
    read_next()
    fail_next()
    jobs.append(submit(organization, "waits"))
    read, failed, waits = (BatchFile.objects.get(job=job) for job in jobs)
    return read, failed, waits


def _with_bytes(template: BatchFile, source: str, own: dict[str, str]) -> None:
    """Files like `template`, and its attempt, result and bytes for each."""
    insert(BatchFile, template, source, own)
    of_file = {"file_id": numbered("n", 2)}
    for attempt in FileAttempt.objects.filter(row=template):
        keys = {"id": numbered("n", 3), "row_id": numbered("n", 2)}
        ended = {"lease_token": numbered("n", 4), "ended_at": _earlier("ended_at")}
        insert(FileAttempt, attempt, source, {**keys, **ended})
    for result in FileResult.objects.filter(file=template):
        insert(FileResult, result, source, of_file)
    insert(Blob, template.content, source, {"sha256": "'blob' || n"})


def _others(count: int, organization: Organization, user: User) -> None:
    """As many as jobs of whatever else grows."""
    from tests.notifications.telling import tell

    now, source = timezone.now(), f"{series(0, count - 1)}"
    told = tell(user, organization, 1)
    own = {"id": numbered("n", 5), "key": "'k' || n", "told_at": _earlier("told_at")}
    insert(
        Notification,
        told,
        source,
        own | {"read_at": "CASE n % 9 WHEN 0 THEN NULL ELSE told_at END"},
    )
    record(organization=organization, actor=user, action="job.submit", reason="one of many")
    entry = AuditEntry.objects.latest("pk")
    insert(
        AuditEntry,
        entry,
        source,
        {
            "id": numbered("n", 7),
            "number": "9 + n",
            "target_id": "'t' || n",
            "action": "'job.' || n % 20",
        },
    )
    work = WorkItem.objects.create(
        organization=organization,
        kind="jobs.export",
        lane="export",
        state="succeeded",
        finished_at=now,
    )
    insert(WorkItem, work, source, {"id": numbered("n", 6), "finished_at": _earlier("finished_at")})
    key = IdempotencyKey.objects.create(
        organization=organization, user=user, route="r", key="k", fingerprint="f", response={}
    )
    insert(IdempotencyKey, key, source, {"key": "'k' || n", "created_at": _earlier("created_at")})
    gone = now + timedelta(days=9)
    session = Session.objects.create(session_key="s" * 32, session_data="", expire_date=gone)
    insert_by(session, source, {"session_key": "'s' || n", "expire_date": _earlier("expire_date")})


def insert_by(template: Model, source: str, own: dict[str, str]) -> None:
    """As `insert`, for a table whose key is another column than id."""
    table, key = template._meta.db_table, template._meta.pk.column
    names = [column.column for column in template._meta.concrete_fields]
    values = ", ".join(own.get(name, f't."{name}"') for name in names)
    sql = f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} AS t, {source}"
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} WHERE t.{key} = ".replace("%", "%%") + "%s", [template.pk])


def _digest() -> str:
    """An expression for 64 digits that no other row has."""
    if connection.vendor == "postgresql":
        return "lpad(to_hex(n), 64, '0')"
    return "printf('%064x', n)"


def _earlier(column: str) -> str:
    if connection.vendor == "postgresql":
        return f"t.{column} - n * interval '1 second'"
    return f"strftime('%Y-%m-%d %H:%M:%f000', t.{column}, '-' || n || ' seconds')"


def _id_of(number: int, kind: int) -> uuid.UUID:
    """What `numbered` says of it in SQL."""
    from benchmarks.queueing.volume import EPOCH

    return uuid.UUID(f"{EPOCH:012x}7{kind:03x}8000{number:012x}")


def ways(world: World) -> dict[str, Callable[[], object]]:
    """What is done all the time, by name."""
    job, file = world.job, world.file
    api = {
        "jobs": "/api/batch/jobs",
        "jobs that failed": "/api/batch/jobs?state=failed",
        "jobs since": "/api/batch/jobs?created_after=2020-01-01T00:00:00Z",
        "a job": f"/api/batch/jobs/{job.pk}",
        "files": f"/api/batch/jobs/{job.pk}/files",
        "files by name": f"/api/batch/jobs/{job.pk}/files?name=file",
        "a file": f"/api/batch/files/{file.pk}",
        "notifications": "/api/notifications",
        "unread notifications": "/api/notifications?unread=true",
        "exports": "/api/batch/exports",
        "uploads": "/api/batch/uploads",
        "webhooks": "/api/webhooks",
    }
    pages = {
        "start page": "/",
        "page of jobs": "/jobs",
        "jobs that run": "/jobs?state=running",
        "search by id": f"/jobs?q={file.pk}",
        "page of a job": f"/jobs/{job.pk}",
        "page of a file": f"/files/{file.pk}",
        "bell": "/notifications/badge",
        "page of notifications": "/notifications",
        "page of exports": "/exports",
    }
    admin = {
        "jobs": "jobs/batchjob",
        "jobs that failed": "jobs/batchjob/?state=failed",
        "files": "jobs/batchfile",
        "files that failed": "jobs/batchfile/?state=failed",
        "a file by its bytes": f"jobs/batchfile/?q={file.sha256}",
        "attempts": "jobs/fileattempt",
        "audit": "audit/auditentry",
        "audit of one action": "audit/auditentry/?action=job.7",
        "notifications": "notifications/notification",
        "background work": "queue/workitem",
        "webhooks": "webhooks/delivery",
        "board": "queue/board",
    }
    if connection.vendor == "sqlite":
        del admin["files that failed"]  # it reads through all, and docs/sizing.md says so
    own = {f"api: {name}": _getting(world.api, path) for name, path in api.items()}
    own |= {f"pages: {name}": _getting(world.browser, path) for name, path in pages.items()}
    for name, path in admin.items():
        address = "/admin/" + (path if "?" in path else f"{path}/")
        own[f"admin: {name}"] = _getting(world.operator, address)
    return own | _steps(world)


def _steps(world: World) -> dict[str, Callable[[], object]]:
    """What processes do by themselves."""
    old = {
        "jobs past their time": BatchJob.objects.expired,
        "old exports": cleanup.old_exports,
        "old keys of requests": cleanup.old_keys,
        "old sessions": cleanup.old_sessions,
        "old work": cleanup.old_work,
        "old webhooks": cleanup.old_deliveries,
        "old notifications": too_old,
    }
    steps: dict[str, Callable[[], object]] = {
        "claim": lambda: claim("default", uuid.UUID(int=1)),
        "sweep: leases that ran out": sweep.take_back_lost,
        "sweep: followers": following.repair,
        "sweep: doorbells": sweep.ring_for_due,
        "submit": lambda: submit(world.organization, "another"),
        "places in line": lambda: ranks_for(world.job, 5),
    }
    for name, rows in old.items():
        steps[f"cleanup: {name}"] = lambda rows=rows: list(rows().values_list("pk")[:1000])
    return steps


def _getting(browser: Any, path: str) -> Callable[[], object]:
    def get() -> None:
        answer = browser.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.content[:300])

    return get


@contextmanager
def noted() -> Iterator[list[tuple[str, Any]]]:
    """The statements that are sent meanwhile, with their parameters."""
    sent: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        sent.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield sent


def faults_of(work: Callable[[], object]) -> list[str]:
    """What is wrong with how the database goes about the statements of `work`: each big table that
    it reads through, each big set that it puts in order. What `work` changes is taken back."""
    with transaction.atomic():
        with noted() as sent:
            work()
        transaction.set_rollback(True)
    with transaction.atomic():
        found = [fault for sql, params in sent for fault in _faults(sql, params)]
        transaction.set_rollback(True)
    return found


def _faults(sql: str, params: Any) -> Iterator[str]:
    if sql.lstrip().upper().startswith(("SELECT", "WITH", "UPDATE", "DELETE")):
        faults = _on_postgres if connection.vendor == "postgresql" else _on_sqlite
        for fault in faults(sql, params):
            yield f"{fault}: {sql[:2000]}"


def _on_postgres(sql: str, params: Any) -> Iterator[str]:
    """By running it: how many rows each step read."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)
        [(plan,)] = cursor.fetchall()
    plans = json.loads(plan) if isinstance(plan, str) else plan
    for node in _nodes(plans[0]["Plan"]):
        read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        read *= node["Actual Loops"]
        name = node.get("Relation Name", node.get("Index Name", ""))
        allowed = COUNTED if sql.startswith("SELECT COUNT(*)") else FEW_ROWS
        if "Scan" in node["Node Type"] and read > allowed:
            yield f"{node['Node Type']} reads {read:.0f} rows of {name}"
        if node["Node Type"] == "Sort" and read > FEW_ROWS:
            yield f"{read:.0f} rows are sorted"


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _on_sqlite(sql: str, params: Any) -> Iterator[str]:
    """By its plan, and by how many thousand steps it takes."""
    tables = "|".join(model._meta.db_table for model in BIG)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 1

        connection.connection.set_progress_handler(count, 1000)
        try:
            cursor.execute(sql, params)
            cursor.fetchall()
        finally:
            connection.connection.set_progress_handler(None, 0)
    if re.search(rf"SCAN ({tables})(?! USING)", plan):
        yield f"a table is read through ({plan})"
    if steps * 1000 > FEW_ROWS * STEPS_OF_A_ROW:
        yield f"{steps} thousand steps ({plan})"
