"""How the databases look for the best row where many wait and many have ended."""

import re

import pytest
from django.db import connection

from apps.accounts.models import Organization
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile
from apps.queue import claim as claiming
from tests.batches import claimed, submit

pytestmark = pytest.mark.django_db

ROWS = 20_000
NEW_ID = {"postgresql": "gen_random_uuid()", "sqlite": "lower(hex(randomblob(16)))"}


@pytest.fixture
def _many(acme: Organization, other: Organization) -> None:
    """ROWS files that wait and ROWS that were read, of two organizations."""
    for organization in (acme, other):
        submit(organization, "like all the others")
    own = {
        "id": NEW_ID[connection.vendor],
        "position": "1 + n",
        "fair_rank": "n",
        "priority": "CASE n % 3 WHEN 0 THEN 0 WHEN 1 THEN 5 ELSE 9 END",
        "state": "CASE n % 2 WHEN 0 THEN 'queued' ELSE 'succeeded' END",
    }
    names = [field.column for field in BatchFile._meta.concrete_fields]
    values = ", ".join(own.get(name, name) for name in names)
    table = BatchFile._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE numbers(n) AS "
            f"(SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {ROWS}) "
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table}, numbers"
        )
        cursor.execute("ANALYZE")


def plan_of(sql: str) -> str:
    given = claiming._parameters("default") | {"token": None, "worker": None, "seconds": 30}
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}", given)
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


@pytest.mark.usefixtures("_many")
def test_the_best_row_is_the_first_of_the_index_of_those_that_wait() -> None:
    assert BatchFile.objects.filter(state="queued").count() == ROWS + 2
    looking = claiming._best(BatchFileHandler, lock="")
    for statement in (looking, claiming._taking(BatchFileHandler)):
        plan = plan_of(statement)
        assert re.search(r"(SEARCH f USING|Index Scan using) .*\bbatchfile_ready\b", plan), plan
        assert not re.search(r"SCAN (f|jobs_batchfile)\b|Seq Scan on jobs_batchfile", plan), plan
        assert not re.search("ORDER BY|Sort", plan), f"all are sorted: {plan}"
    ranks = [(row.priority, row.fair_rank) for row in (claimed() for _ in range(3))]
    assert ranks == [(0, 6), (0, 6), (0, 12)]
