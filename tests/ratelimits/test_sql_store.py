"""Counting in the database while Redis is away: the same limit, also for many at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from apps.ratelimits.ledger import Ask
from apps.ratelimits.models import KeptCount
from apps.ratelimits.sql_store import SqlStore
from apps.ratelimits.windows import Window
from tests.processes import eventually

ADDRESS = Ask("auth:a1", (Window(5, 900),))
ACCOUNT = Ask("auth:e1", (Window(5, 900),))


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_exactly_the_limit_passes() -> None:
    def ask(number: int) -> bool:
        try:
            asks = [ACCOUNT, ADDRESS] if number % 2 else [ADDRESS, ACCOUNT]
            return SqlStore().decide(asks, hit=True).allowed
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(ask, range(40))) == 5


@pytest.mark.django_db
def test_it_is_given_back_and_begun_anew() -> None:
    store = SqlStore()
    answers = [store.decide([ADDRESS], hit=True) for _ in range(6)]
    assert [each.allowed for each in answers] == [True] * 5 + [False]
    store.refund([ADDRESS], answers[0].now_ms)
    assert store.decide([ADDRESS], hit=True).allowed
    assert not store.decide([ADDRESS], hit=False).allowed
    store.forget([ADDRESS.key])
    assert store.decide([ADDRESS], hit=False).verdicts[0].uses[0].used == 0


@pytest.mark.django_db
def test_what_has_expired_goes() -> None:
    KeptCount.objects.create(key="auth:a9", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    SqlStore().decide([ADDRESS], hit=True)
    assert [row.key for row in KeptCount.objects.all()] == [ADDRESS.key]


@pytest.mark.django_db
def test_a_look_writes_nothing() -> None:
    SqlStore().decide([ADDRESS], hit=False)
    assert not KeptCount.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_row_that_is_removed_while_its_lock_is_waited_for_is_made_anew() -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    KeptCount.objects.create(key=ADDRESS.key, expires_at=past)

    def ask() -> bool:
        try:
            return SqlStore().decide([ADDRESS], hit=True).allowed
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            row = KeptCount.objects.select_for_update().get()
            asked = threads.submit(ask)
            eventually(is_waited_for)
            row.delete()
        assert asked.result(10)
    assert SqlStore().decide([ADDRESS], hit=False).verdicts[0].uses[0].used == 1


def is_waited_for() -> bool:
    """Whether somebody waits for a lock of this transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks"
            " WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchone()[0])
