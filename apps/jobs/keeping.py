"""Bytes stay while a backup is made: what its rows refer to must be there when it comes to them.

Jobs, files and exports go as ever meanwhile; only what they leave in storage is found and removed
by the next `storage.remove_orphans` after it.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from django.db import DatabaseError, connection, transaction

from apps.jobs.models import KeptBytes
from apps.queue.models import in_seconds

logger = logging.getLogger(__name__)

LEASE_SECONDS = 600.0
RENEWED_EVERY_SECONDS = 30.0
LOCK = 0x6B6570740001
"""An advisory lock of PostgreSQL: shared by who removes, exclusive where keeping begins."""


class BytesKept(OSError):
    """A backup is being made, and bytes are not to be removed until it has ended."""

    def __init__(self) -> None:
        super().__init__("a backup is being made: bytes are removed when it has ended")


def is_asked_for() -> bool:
    """Whether the bytes must stay. In the transaction that would remove them: until its end nobody
    begins to keep them. (SQLite lets one transaction write at a time.)"""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [LOCK])
    return bool(KeptBytes.objects.in_force().exists())


@contextmanager
def all_bytes() -> Iterator[None]:
    """From now on bytes stay, until the end of it or ten minutes after the process died."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                # Waits for those who are removing some at this moment.
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        kept = KeptBytes.objects.create(until=in_seconds(LEASE_SECONDS))
    end = threading.Event()
    # With a connection of its own: the caller's may be reading what was.
    thread = threading.Thread(target=_renew, args=(kept.pk, end), name="keeping", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        with suppress(DatabaseError):  # it ends by itself
            KeptBytes.objects.filter(pk=kept.pk).delete()


def _renew(pk: UUID, end: threading.Event) -> None:
    try:
        while not end.wait(RENEWED_EVERY_SECONDS):
            try:
                KeptBytes.objects.filter(pk=pk).update(until=in_seconds(LEASE_SECONDS))
            except DatabaseError as error:
                logger.warning("bytes are kept, and that cannot be renewed: %s", error)
                connection.close()
    finally:
        connection.close()
