"""A second database beside the one that is used, and putting it in its place in one step.

On SQLite it is a file beside the other, renamed over it; on PostgreSQL a schema, whose tables take
the place of the others in one transaction. A process that is killed leaves either all of the old
one or all of the new one.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import DatabaseError, connection, transaction

from apps.backups.errors import BackupFailed
from apps.jobs.places.folder import sync_directory

SCHEMA = "docmill_restoring"
SUFFIX = ".restoring"


@contextmanager
def staged() -> Iterator[None]:
    """Within it, all that Django does with the database it does with a new and empty one."""
    given = connection.settings_dict
    options = dict(given["OPTIONS"])
    changed: dict[str, object] = {"OPTIONS": options}
    if connection.vendor == "postgresql":
        remove_leftovers()
        with connection.cursor() as cursor, _telling_rights():
            cursor.execute(f"CREATE SCHEMA {SCHEMA}")
        options.pop("pool", None)
        kept = options.get("options", "")
        options["options"] = f"{kept} -c search_path={SCHEMA} -c lock_timeout=0".strip()
    else:
        remove_leftovers()
        changed["NAME"] = str(_beside())
    connection.close()
    connection.settings_dict = {**given, **changed}
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict = given


def take_its_place() -> None:
    """What was staged is the database from here on; what was there before is gone. Raises
    BackupFailed while somebody else holds it."""
    if connection.vendor == "postgresql":
        _replace_tables()
    else:
        _replace_file()


def remove_leftovers() -> None:
    """Removes what a restore that was cut short had staged."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        return
    for path in _with_logs(_beside()):
        path.unlink(missing_ok=True)


def leftovers() -> list[str]:
    """The name of what such a restore had staged, if it is there."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [SCHEMA])
            return [f"schema {SCHEMA}"] if cursor.fetchone() else []
    return [path.name for path in _with_logs(_beside()) if path.exists()]


def _beside() -> Path:
    path = Path(connection.settings_dict["NAME"])
    return path if path.name.endswith(SUFFIX) else path.with_name(f"{path.name}{SUFFIX}")


def _with_logs(path: Path) -> list[Path]:
    return [path, *(path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm", "-journal"))]


def _replace_file() -> None:
    new = _beside()
    old = Path(connection.settings_dict["NAME"])
    _without_log(new)
    if old.exists():
        # Or what is in its log would be played into the new one.
        _without_log(old)
    connection.close()
    descriptor = os.open(new, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    with contextlib.suppress(FileNotFoundError):
        new.chmod(old.stat().st_mode & 0o777)
    new.replace(old)
    sync_directory(old.parent)


def _without_log(path: Path) -> None:
    """All that is in the database's log goes into the file; the log goes. Raises BackupFailed."""
    database = sqlite3.connect(path, timeout=15)
    try:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [(mode,)] = database.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        told = f"The database {path} is in use ({error}): stop what uses it."
        raise BackupFailed(told) from error
    finally:
        database.close()
    if mode != "delete":
        raise BackupFailed(f"The database {path} is in use: stop what uses it.")


def _replace_tables() -> None:
    quote = connection.ops.quote_name
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT current_schema()")
            [home] = cursor.fetchone()
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [SCHEMA])
            new = [name for (name,) in cursor.fetchall()]
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [home])
            there = {name for (name,) in cursor.fetchall()}
            for name in sorted(there.intersection(new)):
                cursor.execute(f"DROP TABLE {quote(home)}.{quote(name)} CASCADE")
            for name in sorted(new):
                cursor.execute(f"ALTER TABLE {SCHEMA}.{quote(name)} SET SCHEMA {quote(home)}")
            cursor.execute(f"DROP SCHEMA {SCHEMA}")
    except DatabaseError as error:
        raise BackupFailed(f"The database is in use ({error}): stop what uses it.") from error


@contextmanager
def _telling_rights() -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        name = connection.settings_dict["NAME"]
        raise BackupFailed(
            f"The database's user may not make a schema ({error}). As its owner: "
            f'GRANT CREATE ON DATABASE "{name}" TO "{connection.settings_dict["USER"]}";'
        ) from error
