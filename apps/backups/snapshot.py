"""Reading the database as it was at one moment, while others go on writing."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from django.db import connection, transaction


@contextmanager
def of_one_moment() -> Iterator[datetime]:
    """All that is read within is as it was at one moment, about the one that it gives.

    Nobody waits for it: on PostgreSQL a REPEATABLE READ transaction, on SQLite one that only reads,
    where Django's own begin as writers.
    """
    if connection.vendor == "postgresql":
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                # Between two tables a slow disk may be written to for longer than that.
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                cursor.execute("SELECT 1")  # the moment
            yield datetime.now(UTC)
        return
    with connection.cursor() as cursor:
        cursor.execute("BEGIN DEFERRED")
        try:
            cursor.execute("SELECT count(*) FROM django_migrations")  # the moment
            cursor.fetchone()
            yield datetime.now(UTC)
        finally:
            cursor.execute("ROLLBACK")


def database_bytes() -> int:
    """About how much room the database takes."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])
        cursor.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        return int(cursor.fetchone()[0])
