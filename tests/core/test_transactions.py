"""A transaction that lost against another is done again, and no other."""

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction

from apps.core.transactions import TIMES, repeated

pytestmark = pytest.mark.django_db(transaction=True)


class Cause(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


class Work:
    """Loses as often as it is told to, with that code."""

    def __init__(self, losses: int, code: str = "40P01", kind: type[DatabaseError] | None = None):
        self.losses, self.code, self.kind = losses, code, kind or OperationalError
        self.calls = 0

    def __call__(self, *, word: str) -> str:
        self.calls += 1
        with transaction.atomic():
            if self.calls <= self.losses:
                raise self.kind(self.code) from Cause(self.code)
            return word


@pytest.mark.parametrize(("code", "kind"), [("40P01", OperationalError), ("23503", IntegrityError)])
def test_what_lost_is_done_again(code: str, kind: type[DatabaseError]) -> None:
    work = Work(2, code, kind)
    assert repeated(work)(word="done") == "done"
    assert work.calls == 3


def test_it_ends() -> None:
    work = Work(100)
    with pytest.raises(OperationalError):
        repeated(work)(word="done")
    assert work.calls == TIMES


@pytest.mark.parametrize("code", ["23505", "57P01", ""])
def test_other_errors_are_told_at_once(code: str) -> None:
    work = Work(1, code)
    with pytest.raises(OperationalError):
        repeated(work)(word="done")
    assert work.calls == 1


def test_a_part_of_another_transaction_is_not_done_again() -> None:
    work = Work(1)
    with pytest.raises(OperationalError), transaction.atomic():
        repeated(work)(word="done")
    assert (work.calls, connection.in_atomic_block) == (1, False)
