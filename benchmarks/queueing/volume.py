"""A database as after some years: 100 000 files wait, a million have ended, each with its attempt.

Copied in SQL from one file that was submitted and worked off as usual, so that a column that is
added later is right here too.
"""

import time
from typing import Any

from django.db import connection
from django.db.models import Model

from apps.accounts.models import Organization
from apps.accounts.services import create_organization
from apps.jobs.models import BatchFile, BatchJob, FileAttempt
from apps.queue.models import FairShare
from benchmarks.queueing import batches
from benchmarks.stage import Stage

ORGANIZATIONS = 50
BIGGEST_PERCENT = 61
"""How much of all the biggest organization owns."""
IS_POSTGRES = connection.vendor == "postgresql"
EPOCH = 0x0190_0000_0000
"""The moment in the ids of these rows, before that of any other."""


def build(stage: Stage) -> float:
    """Fills the database; how many seconds that took."""
    started = time.perf_counter()
    waiting, ended = stage.size(100_000, 5_000), stage.size(1_000_000, 20_000)
    number_organizations()
    with connection.cursor() as cursor:
        # Foreign keys are right by how the rows are made; to look up each takes most of the time.
        cursor.execute(
            "SET session_replication_role = replica" if IS_POSTGRES else "PRAGMA foreign_keys = OFF"
        )
    copy(first=0, files=ended, template=one_file(), state="succeeded")
    copy(first=ended, files=waiting, template=one_file(), state="queued")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if IS_POSTGRES else "ANALYZE")
    connection.close()  # the next one looks up foreign keys again
    return time.perf_counter() - started


def number_organizations() -> None:
    """The organizations, and a table that says which has which number."""
    user = batches.owner().user
    made = [create_organization(name=f"Organization {n}", owner=user) for n in range(ORGANIZATIONS)]
    with connection.cursor() as cursor:
        kind = Organization._meta.pk.db_type(connection)
        cursor.execute(f"CREATE TABLE numbered (number integer PRIMARY KEY, id {kind})")
        for number, organization in enumerate(made):
            pk = Organization._meta.pk.get_db_prep_value(organization.pk, connection)
            cursor.execute("INSERT INTO numbered VALUES (%s, %s)", [number, pk])


def one_file() -> Any:
    """A file that waits, in a job of its own."""
    return BatchFile.objects.get(job=batches.submit(["text"]))


def copy(*, first: int, files: int, template: Any, state: str) -> None:
    """So many files like `template`, in jobs of 50 that are theirs, numbered from `first` on."""
    ended = state == "succeeded"
    if ended:
        work_off(template)
    last = first + files - 1
    size = batches.BATCH
    biggest = f"(j * 37 % 100 < {BIGGEST_PERCENT})"
    owner = f"CASE WHEN {biggest} THEN 0 ELSE 1 + j % {ORGANIZATIONS - 1} END"
    priority = "CASE WHEN j % 20 = 0 THEN 0 WHEN j % 20 > 16 THEN 9 ELSE 5 END"
    numbers = f"(SELECT n, n / {size} AS j FROM {series(first, last)}) AS numbers"
    source = f"(SELECT n, j, {priority} AS p FROM {numbers}) AS s"
    owned = f"{source} JOIN numbered ON numbered.number = ({owner})"
    totals = {"total": f"{size}"} | ({"succeeded": f"{size}"} if ended else {})
    insert(
        *(BatchJob, template.job, f"{owned} AND n % {size} = 0"),
        {"id": uuid("j", 1), "organization_id": "numbered.id", "priority": "p", **totals},
    )
    file = {
        "id": uuid("n", 2),
        "job_id": uuid("j", 1),
        "organization_id": "numbered.id",
        "position": f"1 + n % {size}",
        "priority": "p",
        "sha256": "''",
    }
    if not ended:  # an organization's files stand one apart
        file["fair_rank"] = "row_number() OVER (PARTITION BY number ORDER BY n)"
    insert(BatchFile, template, owned, file)
    if ended:
        attempt = FileAttempt.objects.get(row=template)
        keys = {"id": uuid("n", 3), "row_id": uuid("n", 2), "lease_token": uuid("n", 4)}
        insert(FileAttempt, attempt, source, keys)
    else:
        for organization in Organization.objects.filter(personal_of=None):
            rank = BatchFile.objects.filter(organization=organization).count()
            FairShare.objects.create(organization=organization, lane=template.lane, last_rank=rank)
    template.job.delete()


def work_off(file: Any) -> None:
    """Ends `file` as a run with no result does."""
    from apps.queue.claim import claim
    from apps.queue.handlers import Output
    from apps.queue.settle import succeed
    from benchmarks.queueing.handlers import NoOp

    found = claim(file.lane, file.pk)
    assert found is not None
    assert succeed(NoOp, found[1], Output(None))
    file.refresh_from_db()


def insert(model: type[Model], template: Any, source: str, own: dict[str, str]) -> None:
    """Rows like `template`, one for each row of `source`; `own` columns are expressions in it."""
    columns = [field.column for field in model._meta.concrete_fields]
    left_out = {"id"} if "id" not in own else set()
    names = [name for name in columns if name not in left_out]
    pk = model._meta.pk.get_db_prep_value(template.pk, connection)
    values = ", ".join(own.get(name, f't."{name}"') for name in names)
    quoted = ", ".join(f'"{name}"' for name in names)
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({quoted}) SELECT {values} FROM {table} AS t, {source} "
            "WHERE t.id = %s".replace("%", "%%").replace("%%s", "%s"),
            [pk],
        )


def series(first: int, last: int) -> str:
    """The whole numbers from `first` to `last`, called n."""
    if IS_POSTGRES:
        return f"generate_series({first}, {last}) AS g(n)"
    return (
        f"(WITH RECURSIVE g(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM g WHERE n < {last})"
        " SELECT n FROM g)"
    )


def uuid(number: str, kind: int) -> str:
    """An expression for the id of row `number`; ids of another `kind` of row are others."""
    start = f"{EPOCH:012x}7{kind:03x}8000"
    if IS_POSTGRES:
        return f"('{start}' || lpad(to_hex({number}), 12, '0'))::uuid"
    return f"printf('{start}%012x', {number})"
