"""How the databases look for the best row where many wait and many have ended."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.accounts.models import Organization
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, BatchJob
from apps.queue import claim as claiming
from apps.queue.models import Priority
from tests.batches import claimed

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 20_000


@pytest.fixture
def many(acme: Organization, other: Organization) -> None:
    """ROWS that wait, and ROWS that have ended."""
    jobs = [
        BatchJob.objects.create(organization=each, operation="extract", total=2 * ROWS)
        for each in (acme, other)
    ]
    now = timezone.now()
    BatchFile.objects.bulk_create(
        (
            BatchFile(
                organization_id=jobs[number % 2].organization_id,
                job=jobs[number % 2],
                position=number // 2 % 30_000,
                name="a.txt",
                lane="default",
                priority=list(Priority)[number % 3],
                fair_rank=number,
                state="queued" if number < ROWS else "succeeded",
                available_at=now - timedelta(days=1),
            )
            for number in range(2 * ROWS)
        ),
        batch_size=1000,
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def plan_of(sql: str) -> str:
    given = claiming._parameters("default") | {"token": None, "worker": None, "seconds": 30}
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}", given)
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


@pytest.mark.parametrize("statement", ["looking", "taking"])
def test_the_best_row_is_the_first_of_the_index_of_those_that_wait(
    many: None, statement: str
) -> None:
    statements = {
        "looking": claiming._best(BatchFileHandler, lock=""),
        "taking": claiming._taking(BatchFileHandler),
    }
    plan = plan_of(statements[statement])
    assert re.search(r"(SEARCH f USING|Index Scan using) .*\bbatchfile_ready\b", plan), plan
    assert not re.search(r"SCAN (f|jobs_batchfile)\b|Seq Scan on jobs_batchfile", plan), plan
    assert "ORDER BY" not in plan, "SQLite would sort them all"
    assert "Sort" not in plan, "PostgreSQL would"


def test_it_is_the_best_row(many: None) -> None:
    assert [claimed().fair_rank for _ in range(3)] == [0, 3, 6]
