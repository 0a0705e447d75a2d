"""What is told of statements: how many of which, and the slow ones with their place."""

import logging
import re

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.core import metrics, queries
from apps.queue.models import WorkerNode

pytestmark = pytest.mark.django_db

SLOW = """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 400000)
    SELECT COUNT(*) FROM numbers WHERE n <> %s"""


def count_of(operation: str, table: str) -> float:
    return sum(each.get() for each in metrics.QUERY_SECONDS.labels(operation, table)._buckets)


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ('SELECT "queue_lane"."name" FROM "queue_lane" WHERE 1', ("select", "queue_lane")),
        ("select 1", ("select", "other")),
        ("SELECT 1 FROM sqlite_master", ("select", "other")),
        ('INSERT INTO "queue_lane" ("name") SELECT 1', ("insert", "queue_lane")),
        ('UPDATE "queue_lane" SET "name" = %s', ("update", "queue_lane")),
        ('DELETE FROM "queue_lane"', ("delete", "queue_lane")),
        (
            "WITH best AS (SELECT f.id FROM jobs_batchfile f FOR NO KEY UPDATE OF f SKIP LOCKED) "
            "UPDATE jobs_batchfile SET state = 1",
            ("update", "jobs_batchfile"),
        ),
        ("WITH a AS (SELECT 1) SELECT * FROM a, queue_lane", ("select", "other")),
        ("SAVEPOINT s1", ("other", "other")),
        ("", ("other", "other")),
        ("DROP TABLE students", ("other", "other")),
    ],
)
@pytest.mark.once
def test_a_statement_is_known_by_what_it_does_to_which_table(
    sql: str, told: tuple[str, str]
) -> None:
    assert queries.operation_and_table(sql) == told


def test_each_statement_is_counted_once() -> None:
    before = count_of("select", "queue_workernode")
    for _ in range(3):
        assert not WorkerNode.objects.exists()
    assert count_of("select", "queue_workernode") == before + 3


def test_a_slow_statement_is_logged_with_its_place_and_without_parameters(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.SLOW_QUERY_MS = 50
    slow = metrics.SLOW_QUERIES.labels("select", "other")
    before = slow._value.get()
    with caplog.at_level(logging.WARNING, "apps.core.queries"), connection.cursor() as cursor:
        cursor.execute(SLOW, [987654321])
        assert cursor.fetchone() == (400000,)
    (line,) = [each.getMessage() for each in caplog.records]
    milliseconds = re.match(r"slow query: (\d+) ms, ", line)
    assert milliseconds
    assert int(milliseconds[1]) >= 50
    assert "SELECT COUNT(*) FROM numbers WHERE n <> %s" in line
    assert "987654321" not in line
    assert slow._value.get() == before + 1


def test_the_place_is_the_route_and_the_line_of_ours(
    settings: Settings, caplog: pytest.LogCaptureFixture, client: Client, alice: User
) -> None:
    settings.SLOW_QUERY_MS = 0
    client.force_login(alice)
    with caplog.at_level(logging.WARNING, "apps.core.queries"):
        assert client.get("/jobs").status_code == 200
    lines = [each.getMessage() for each in caplog.records if "slow query" in each.getMessage()]
    ours = [line for line in lines if '"jobs_batchjob"' in line]
    assert ours
    assert all(re.search(r"apps/\w+/[\w/]+\.py:\d+ in \w+ for GET jobs: ", line) for line in ours)
    assert all("alice@example.com" not in line for line in lines)


@pytest.mark.once
def test_quick_statements_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "apps.core.queries"):
        WorkerNode.objects.exists()
    assert caplog.records == []
