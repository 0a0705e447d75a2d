"""Doing a transaction again that lost against another one."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import DatabaseError, connection

LOST = frozenset({"40P01", "23503"})
"""PostgreSQL's codes for a deadlock, and for a row that was referred to and is gone, or that was
deleted and is referred to: found at the commit, because somebody else was quicker."""
TIMES = 5

P = ParamSpec("P")
T = TypeVar("T")


def repeated(work: Callable[P, T]) -> Callable[P, T]:
    """`work`, which opens a transaction of its own and does nothing outside of it, done again where
    that lost. Inside another transaction the error is that one's to deal with."""

    @wraps(work)
    def repeating(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(TIMES - 1):
            try:
                return work(*args, **kwargs)
            except DatabaseError as error:
                is_lost = getattr(error.__cause__, "sqlstate", "") in LOST
                if connection.in_atomic_block or not is_lost:
                    raise
        return work(*args, **kwargs)

    return repeating
