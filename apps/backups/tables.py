"""Rows as lines of JSON, the same from SQLite and PostgreSQL, and back.

A row is an array of its columns' values in the order of `columns`. Values go the way that Django
reads and writes them, so what one database keeps as text and the other as a type of its own comes
out alike. Models are those of the migrations that a database has, not those of this version's code:
a backup can be made before an upgrade and read after it.
"""

import base64
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import IO, Any

from django.apps.registry import Apps
from django.core.management.color import no_style
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, connection, models
from django.db.migrations.executor import MigrationExecutor
from django.utils.duration import duration_string

from apps.backups.errors import BackupFailed, BadArchive

CHUNK = 2000
LEFT_OUT = frozenset(
    {
        "sessions.Session",  # everybody signs in again
        "queue.WorkerNode",  # of processes that are gone by then
        "jobs.UploadSession",  # their bytes are in no backup: begun uploads begin anew
        "jobs.KeptBytes",  # of the backup that is being made
    }
)
Row = list[Any]


class _Encoder(DjangoJSONEncoder):
    """Exact, where Django's own rounds times to milliseconds."""

    def default(self, o: Any) -> Any:
        if isinstance(o, timedelta):
            return duration_string(o)
        if isinstance(o, bytes | memoryview):
            return base64.b64encode(o).decode()
        if hasattr(o, "isoformat"):
            return o.isoformat()
        return super().default(o)


_encode = _Encoder(ensure_ascii=True, separators=(",", ":")).encode


def applied_models() -> tuple[list[type[models.Model]], list[tuple[str, str]]]:
    """The tables of the database as it is, and the migrations that made them."""
    executor = MigrationExecutor(connection)
    graph = executor.loader.graph
    applied = sorted(set(executor.loader.applied_migrations) & set(graph.nodes))
    leaves = [key for key in applied if not any(child in applied for child in later(graph, key))]
    return tables_of(executor.loader.project_state(leaves).apps), applied


def later(graph: Any, key: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """The migrations of the same app that come next."""
    return (child.key for child in graph.node_map[key].children if child.key[0] == key[0])


def tables_of(apps: Apps) -> list[type[models.Model]]:
    """Every table in a fixed order, those between two others as well."""
    found = apps.get_models(include_auto_created=True)
    kept = [m for m in found if m._meta.managed and not m._meta.proxy]
    return sorted(kept, key=lambda model: model._meta.db_table)


def columns(model: type[models.Model]) -> list[Any]:
    """Its fields that have a column which can be written."""
    return [each for each in model._meta.concrete_fields if not getattr(each, "generated", False)]


def write(model: type[models.Model], sink: IO[bytes], tick: Callable[[], object]) -> int:
    """Writes all rows to `sink`, compressed, in the order of their keys; how many there are."""
    names = [field.attname for field in columns(model)]
    rows = model._base_manager.order_by("pk").values_list(*names).iterator(CHUNK)
    count = 0
    # The same rows make the same bytes.
    with gzip.GzipFile(fileobj=sink, mode="wb", compresslevel=3, mtime=0) as packed:
        while portion := list(islice(rows, CHUNK)):
            packed.write("".join(f"{_encode(row)}\n" for row in portion).encode())
            count += len(portion)
            tick()
    return count


def read(source: IO[bytes]) -> Iterator[Row]:
    """The rows as they were written. Raises BadArchive."""
    try:
        with gzip.GzipFile(fileobj=source, mode="rb") as packed:
            for line in packed:
                yield json.loads(line)
    except (EOFError, OSError, ValueError) as error:
        raise BadArchive(f"The rows cannot be read: {error}.") from error


def load(
    model: type[models.Model],
    names: Sequence[str],
    rows: Iterable[Row],
    tick: Callable[[], object],
) -> int:
    """Writes rows, whose values are of the columns `names`, into the empty table; how many.

    Raises BackupFailed for what this database does not take.
    """
    fields = {field.attname: field for field in columns(model)}
    if unknown := set(names) - set(fields):
        raise BadArchive(f"{model._meta.label} has no columns {', '.join(sorted(unknown))}.")
    writers = [_writer(fields[name]) for name in names]
    quote = connection.ops.quote_name
    into = ", ".join(quote(fields[name].column) for name in names)
    holders = ", ".join(["%s"] * len(names))
    statement = f"INSERT INTO {quote(model._meta.db_table)} ({into}) VALUES ({holders})"  # noqa: S608
    count, given = 0, iter(rows)
    while portion := list(islice(given, CHUNK)):
        made = [[w(value) for w, value in zip(writers, row, strict=True)] for row in portion]
        try:
            with connection.cursor() as cursor:
                cursor.executemany(statement, made)
        except DatabaseError as error:
            raise BackupFailed(f"{model._meta.label} rows {count}+: {error}") from error
        count += len(portion)
        tick()
    return count


def _writer(field: Any) -> Callable[[Any], Any]:
    """How a value from an archive is given to this database."""

    def write_json(value: Any) -> Any:
        if value is None and not field.null:
            return connection.ops.adapt_json_value(None, field.encoder)  # the JSON null
        return field.get_db_prep_save(value, connection)

    def write_other(value: Any) -> Any:
        return field.get_db_prep_save(field.to_python(value), connection)

    return write_json if isinstance(field, models.JSONField) else write_other


def reset_sequences(found: Sequence[type[models.Model]]) -> None:
    """New rows get numbers behind those that were loaded."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), list(found)):
            cursor.execute(statement)
