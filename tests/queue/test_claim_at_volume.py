"""How the databases look for the best row where many wait and many have ended."""

import re
import uuid
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Organization
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile
from apps.jobs.progress import FAR
from apps.jobs.services import following
from apps.queue import claim as claiming
from apps.queue.lanes import take_ranks
from apps.queue.models import Lane
from apps.queue.pauses import pause
from tests.batches import claimed, submit
from tests.volume import analyze

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
    analyze()


def plan_of(sql: str) -> str:
    given = claiming._parameters("default") | {"token": None, "worker": None, "seconds": 30}
    given |= {"priority": 5, "fair_rank": 7.0, "id": claiming.stored(uuid.UUID(int=1))}
    # Without a run PostgreSQL does not tell how it goes on in a recursion.
    run = "ANALYZE, " if sql.lstrip().startswith("WITH RECURSIVE") else ""
    explain = f"EXPLAIN ({run}COSTS OFF)"
    if connection.vendor == "sqlite":
        explain = "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}", given)
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def later() -> str:
    return claiming._taking(BatchFileHandler, at_front=False)


@pytest.mark.usefixtures("_many")
def test_the_best_row_is_the_first_of_the_index_of_those_that_wait() -> None:
    assert BatchFile.objects.filter(state="queued").count() == ROWS + 2
    looking = claiming._looking(BatchFileHandler)
    for statement in (looking, claiming._taking(BatchFileHandler, at_front=True), later()):
        plan = plan_of(statement)
        assert re.search(r"(SEARCH f USING|Index Scan using) .*\bbatchfile_ready\b", plan), plan
        assert not re.search(r"SCAN (f|jobs_batchfile)\b|Seq Scan on jobs_batchfile", plan), plan
        assert not re.search("ORDER BY|Sort", plan), f"all are sorted: {plan}"
    ranks = [(row.priority, row.fair_rank) for row in (claimed() for _ in range(3))]
    assert ranks == [(0, 6), (0, 6), (0, 12)]


@pytest.mark.usefixtures("_many")
def test_a_line_that_is_held_back_is_not_read_through(acme: Organization) -> None:
    """Neither where the first row of each organization is looked up, nor from there on."""
    plan = plan_of(claiming._first(BatchFileHandler))
    assert len(re.findall(r"\bbatchfile_lines\b", plan)) == 2, plan
    assert re.search(r"organization_id *>", plan), f"each organization is read through: {plan}"
    assert not re.search(
        r"SCAN (f|jobs_batchfile)\b|Seq Scan on jobs_batchfile|BLOOM|batchfile_ready", plan
    ), plan
    begins = r"lane=\? AND \(priority,fair_rank,id\)>|ROW\(priority, fair_rank, id\) >= ROW\(5"
    assert re.search(begins, plan_of(later())), plan_of(later())
    pause(by=None, organization=acme)
    for looks_first in (True, False):
        with CaptureQueriesContext(connection) as made:
            found = claiming.claim("default", uuid.UUID(int=1), looks_first=looks_first)
        assert found is not None
        assert found[1].organization_id != acme.pk
        *_, taking = (query["sql"] for query in made if "RETURNING" in query["sql"])
        assert "(f.priority, f.fair_rank, f.id) >= (" in taking


@pytest.mark.usefixtures("_many")
def test_the_plan_holds_where_nearly_all_is_held_back(acme: Organization) -> None:
    """PostgreSQL knows how much that is."""
    last = BatchFile.objects.ready().exclude(organization=acme).order_by("-fair_rank")[:1]
    BatchFile.objects.exclude(pk__in=[row.pk for row in last]).update(organization=acme)
    pause(by=None, organization=acme)
    analyze()
    plan = plan_of(later())
    assert re.search(r"(SEARCH f USING|Index Scan using) .*\bbatchfile_ready\b", plan), plan
    assert not re.search("ORDER BY|Sort", plan), plan


@pytest.mark.usefixtures("_many")
@pytest.mark.parametrize("what", ["pause", "cap"])
def test_where_nothing_may_start_no_row_is_read(what: str) -> None:
    if what == "pause":
        pause(by=None, lane="default")
    else:
        Lane.objects.create(name="default", max_running=0)
    for looks_first in (True, False):
        assert claiming.claim("default", uuid.UUID(int=1), looks_first=looks_first) is None
    if connection.vendor == "sqlite":
        assert steps(lambda: claiming.claim("default", uuid.UUID(int=1), looks_first=False)) < ROWS


@pytest.mark.once
@pytest.mark.usefixtures("_many")
def test_what_is_held_back_is_not_even_read_before_the_first_that_may_start(
    acme: Organization,
) -> None:
    pause(by=None, organization=acme)
    BatchFile.objects.exclude(organization=acme).update(fair_rank=2 * ROWS)
    assert steps(claimed) < ROWS


@pytest.mark.once
@pytest.mark.usefixtures("_many")
def test_neither_the_sweep_nor_a_page_nor_a_submission_reads_the_line_through(
    acme: Organization,
) -> None:
    job = submit(acme, "the last of all")
    assert BatchFile.objects.waiting_before([job]) == {job.pk: FAR}
    assert steps(lambda: BatchFile.objects.in_line().front_of("default")) < ROWS
    assert steps(following.repair) < ROWS
    line = {"organization": acme, "lane": "default", "priority": 5, "count": 1}
    assert steps(lambda: take_ranks(BatchFile, **line)) < ROWS


@pytest.mark.usefixtures("_many")
def test_those_who_wait_for_another_are_found_by_their_index() -> None:
    plan = following._stuck().explain()
    assert "file_follows" in plan, plan


def steps(work: Callable[[], object]) -> int:
    """How many of SQLite's it takes, in thousands of them."""
    taken = 0

    def count() -> None:
        nonlocal taken
        taken += 1000

    connection.connection.set_progress_handler(count, 1000)
    work()
    connection.connection.set_progress_handler(None, 0)
    return taken
