"""What the database tells of itself, of workers, of beat and of the queue, for `/health`.

Each function is called in a thread whose connection is its own (`core.pool.aside`), and reads few
rows by an index: anybody may ask for it.
"""

from collections.abc import Callable
from pathlib import Path

from django.apps import apps
from django.db import Error as DatabaseError
from django.db import connection

from apps.health.report import Finding
from apps.health.telling import say
from apps.queue import vitals
from apps.queue.lanes import lane_names

WORKERS = "celery"
BEAT = "schedule"


def database() -> Finding:
    """Whether it answers, and has the tables of this version (`degraded` where migrations are
    missing: pages would fail)."""
    return _readable("database", connection.vendor, _database)


def _database() -> tuple[str, str]:
    missing = unapplied_migrations()
    if missing:
        return "degraded", f"run manage.py migrate; missing: {', '.join(missing[:5])}"
    return "connected", ""


def unapplied_migrations() -> list[str]:
    """Migrations of this version, as `app.name`, that the database does not have."""
    with connection.cursor() as cursor:
        # Reads the file: `SELECT 1` would not, on SQLite.
        if "django_migrations" not in connection.introspection.table_names(cursor):
            return sorted(f"{app}.{name}" for app, name in _migrations())
        cursor.execute("SELECT app, name FROM django_migrations")
        applied = set(cursor.fetchall())
    return sorted(f"{app}.{name}" for app, name in _migrations() - applied)


def _migrations() -> set[tuple[str, str]]:
    """By the names of their files: importing them all would take longer than there is."""
    return {
        (config.label, file.stem)
        for config in apps.get_app_configs()
        for file in _folder_of(config.path).glob("[0-9]*.py")
    }


def _folder_of(app: str) -> Path:
    return Path(app) / "migrations"


def workers() -> Finding:
    """`failed` where no worker lives, `degraded` where none does for some lane."""
    return _readable("workers", WORKERS, _workers)


def _workers() -> tuple[str, str]:
    served = vitals.served_lanes()
    if not served:
        return "failed", "no worker has shown itself lately"
    unserved = sorted(set(lane_names()) - served)
    return ("degraded", f"no worker serves {', '.join(unserved)}") if unserved else ("ok", "")


def beat() -> Finding:
    """`failed` where no sweep began lately, `degraded` where the last run of something failed."""
    return _readable("beat", BEAT, _beat)


def _beat() -> tuple[str, str]:
    if not vitals.is_swept():
        return "failed", "no sweep has begun lately"
    failing = vitals.failing_work()
    return ("degraded", f"failed last time: {', '.join(failing)}") if failing else ("ok", "")


def queue() -> Finding:
    """`degraded` where something stands still that nobody paused."""
    return _readable("queue", connection.vendor, _queue)


def _queue() -> tuple[str, str]:
    found = vitals.standstill(vitals.served_lanes())
    return ("degraded", f"stands still: {'; '.join(found)}") if found else ("ok", "")


def _readable(check: str, kind: str, look: Callable[[], tuple[str, str]]) -> Finding:
    """A finding of what `look` tells: a status, and what is wrong for the log."""
    try:
        status, trouble = look()
    except DatabaseError as error:
        status, trouble = "failed", str(error)
    say(check, trouble)
    return Finding(status, kind)
