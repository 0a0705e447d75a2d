"""An installation from a backup.

The file is read to its end and checked before anything is written. Then its bytes are put where
bytes are, where they harm nobody; a second database is built beside the one that is there; and last
that one takes its place in one step. Until then a killed restore has changed nothing that anybody
sees, and from then on all is restored; what remains to be done is noted in a file of the data
directory, which `manage.py doctor` reads.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.management.sql import emit_post_migrate_signal
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models.functions import Now

from apps.accounts.models import Organization, User
from apps.backups import afterwards, broken_off, staging, tables
from apps.backups.archive import BLOB, SECRET, TABLE, Head, Manifest, Reader, telling
from apps.backups.errors import BackupFailed, BadArchive, RestoreRefused
from apps.core.sealing import fingerprint
from apps.jobs import storage
from apps.jobs.places import Key, place
from apps.queue.models import WorkerNode

MARK = "restoring.json"
READING = "bytes and rows are read"
"""What is done as long as nothing has changed."""
ALIVE = timedelta(seconds=30)
"""A worker that showed itself so lately is running."""

Tell = Callable[[str, int, int], object]
"""Hears what is being done, and how many bytes of how many are dealt with."""


@dataclass(frozen=True)
class Restored:
    """What was restored, and what was done to it afterwards, in words and numbers; `warnings` are
    for a person to act on."""

    head: Head
    rows: int
    files: int
    size_bytes: int
    done: dict[str, int]
    warnings: list[str]


def verify(path: Path, tell: Tell) -> tuple[Head, Manifest]:
    """What the archive is of and what is in it, read to its end. Raises BadArchive."""
    total, done = path.stat().st_size if path.exists() else 0, 0
    reader = Reader(path)

    def tick(size: int) -> None:
        nonlocal done
        done += size
        tell("checking", done, total)

    try:
        return reader.head, reader.verify(tick)
    finally:
        reader.close()


def is_in_use() -> bool:
    """Whether there is something in this installation that a restore would take the place of."""
    names = connection.introspection.table_names()
    if User._meta.db_table not in names:
        return False
    return User.objects.exists() or Organization.objects.exists()


def restore(
    path: Path, *, replaces: bool, sends: bool = False, tell: Tell = lambda *_: None
) -> Restored:
    """Makes this the installation that the backup is of. `replaces` says that what is here now may
    go. `sends` has mails and webhooks sent that waited when it was made; they are withdrawn
    otherwise, because they were most likely sent since.

    Raises BadArchive, RestoreRefused, and BackupFailed; the database is as it was then.
    """
    head, manifest = verify(path, tell)
    refuse_unfit(head)
    was_in_use = is_in_use()
    if was_in_use and not replaces:
        raise RestoreRefused("There are people and data in this installation already.")
    _refuse_while_running()
    warnings = _of_secrets(head)
    try:
        storage.check_room(manifest.size_bytes)
        with broken_off.the_only_one(), _marked(path) as mark:
            _put_bytes(path, manifest, tell)
            with staging.staged():
                rows, done = _build(path, head, manifest, sends, tell)
            mark("the database takes its place")
            staging.take_its_place()
            mark("what is not of the backup is removed")
            _take_secrets(manifest)
            if was_in_use:
                _remove_other_bytes()
    except OSError as error:
        raise BackupFailed(f"It cannot be restored: {error}") from error
    afterwards.forget_cached()
    warnings += afterwards.warnings_of(head, manifest)
    return Restored(head, rows, manifest.files, manifest.size_bytes, done, warnings)


def cut_short() -> dict[str, str] | None:
    """What a restore that did not come to its end was doing: {archive, began, doing}; None when
    there was none."""
    try:
        told: dict[str, str] = json.loads(_mark_path().read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {"archive": "unknown", "began": "unknown", "doing": "unknown"}
    return told


def leftovers() -> list[str]:
    """What a restore has left that was broken off before it changed anything, by name."""
    told = cut_short()
    is_needed = told is not None and told["doing"] != READING
    return [] if is_needed or broken_off.is_running() else broken_off.leftovers()


def give_up() -> int:
    """Removes that, and the note of it; how much there was."""
    found = leftovers()
    with suppress(RestoreRefused), broken_off.the_only_one():
        _clear()
    return len(found)


def _clear() -> None:
    with suppress(DatabaseError):
        broken_off.remove()
    _mark_path().unlink(missing_ok=True)


def refuse_unfit(head: Head) -> None:
    """Raises RestoreRefused for a backup of a newer version, whose tables are not known here."""
    graph = MigrationExecutor(None).loader.graph
    unknown = sorted(".".join(each) for each in head.migrations if tuple(each) not in graph.nodes)
    if unknown:
        raise RestoreRefused(
            f"The backup is of Docmill {head.version}, which is newer than this "
            f"{settings.VERSION}: {', '.join(unknown[:3])} is not known here. Install that "
            "version first."
        )


def _refuse_while_running() -> None:
    if WorkerNode._meta.db_table not in connection.introspection.table_names():
        return
    alive = WorkerNode.objects.filter(seen_at__gt=Now() - ALIVE).values_list("host", "pid")
    told = ", ".join(f"{host} pid {pid}" for host, pid in alive[:3])
    if told:
        raise RestoreRefused(
            f"Workers are running ({told}). Stop the service, wait half a minute, and try again."
        )


def _of_secrets(head: Head) -> list[str]:
    """What to do when what is stored encrypted will not open here."""
    is_same = head.secret == fingerprint(settings.SECRET_KEY)
    given_in_environment = not any(
        path.name == "secret_key" and path.read_text().strip() == settings.SECRET_KEY
        for path in [_data() / "secret_key"]
        if path.is_file()
    )
    if is_same or (head.has_secrets and not given_in_environment):
        return []
    return [
        "SECRET_KEY is not the one that the backup was made with: secrets of webhooks and "
        "passwords of documents do not open. Add the old one to SECRET_KEY_FALLBACKS."
    ]


def _put_bytes(path: Path, manifest: Manifest, tell: Tell) -> None:
    """Puts the bytes in place that are not there yet, and the keys beside theirs."""
    done = 0
    reader = Reader(path)
    try:
        with telling(), storage.incoming() as folder:
            for part in reader.parts():
                if secret := SECRET.fullmatch(part.name):
                    _write(broken_off.key_beside(secret[1]), part.content)
                elif blob := BLOB.fullmatch(part.name):
                    organization = part.name.split("/")[1]
                    key = Key(UUID(hex=organization), blob[2])
                    if place().size(key) != part.size:
                        waiting = folder / "bytes"
                        _write(waiting, part.content)
                        place().bring([(key, waiting)])
                        place().put([(key, waiting)])
                        waiting.unlink(missing_ok=True)
                    done += part.size
                    tell("bytes", done, manifest.size_bytes)
    finally:
        reader.close()


def _build(
    path: Path, head: Head, manifest: Manifest, sends: bool, tell: Tell
) -> tuple[int, dict[str, int]]:
    """Fills the staged database: the tables as they were in the version of the backup, its rows,
    and then what has changed since. How many rows, and what was done to them."""
    wanted = {(app, name) for app, name in head.migrations}
    executor = MigrationExecutor(connection)
    graph = executor.loader.graph
    leaves = [key for key in sorted(wanted) if not wanted & set(tables.later(graph, key))]
    tell("tables", 0, len(manifest.tables))
    state = executor.migrate(leaves)
    rows = _load(path, manifest, tables.tables_of(state.apps), tell)
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    emit_post_migrate_signal(verbosity=0, interactive=False, db=connection.alias)
    connection.check_constraints()
    done = afterwards.settle(sends=sends)
    afterwards.record_restore(path, head)
    return rows, done


def _load(path: Path, manifest: Manifest, models: list[Any], tell: Tell) -> int:
    """All rows in one transaction, at whose end everything must refer to something."""
    by_table = {model._meta.db_table: model for model in models}
    told = {table.table: table for table in manifest.tables}
    reader = Reader(path)
    rows = 0
    try:
        with telling(), _without_references(), transaction.atomic():
            for model in models:  # what migrations themselves wrote
                model._base_manager.all()._raw_delete(connection.alias)
            for part in reader.parts():
                found = TABLE.fullmatch(part.name)
                if found is None:
                    continue
                if found[1] not in by_table or found[1] not in told:
                    raise BadArchive(f"There is no table {found[1]}.")
                table = told[found[1]]
                rows += tables.load(
                    by_table[table.table], table.columns, tables.read(part.content), lambda: None
                )
                tell("tables", len(told), len(told))
            tables.reset_sequences(models)
    finally:
        reader.close()
    expected = sum(table.rows for table in manifest.tables)
    if rows != expected:
        raise BadArchive(f"The backup has {rows} rows, and should have {expected}.")
    return rows


@contextmanager
def _without_references() -> Iterator[None]:
    """Tables come in the order of their names. PostgreSQL looks at references when the transaction
    ends; SQLite has to be told, and is looked at afterwards."""
    if connection.vendor != "sqlite":
        yield
        return
    with connection.constraint_checks_disabled():
        yield


@contextmanager
def _marked(path: Path) -> Iterator[Callable[[str], None]]:
    """Notes what is being done until it has been. An error before the database took its place is
    told to whoever waits, and leaves no note."""
    began = datetime.now(UTC).isoformat(timespec="seconds")
    told = {"archive": str(path), "began": began, "doing": READING}
    is_replaced = False
    before = cut_short()

    def mark(doing: str) -> None:
        nonlocal is_replaced
        is_replaced = is_replaced or doing.startswith("what is not")
        draft = _mark_path().with_suffix(".draft")
        draft.write_text(json.dumps(told | {"doing": doing}))
        draft.replace(_mark_path())

    mark(told["doing"])
    try:
        yield mark
    except BaseException:
        if not is_replaced and (before is None or before["doing"] == READING):
            _clear()
        elif not is_replaced:  # one before this has replaced the database, and has not ended
            _mark_path().write_text(json.dumps(before))
        raise
    _mark_path().unlink(missing_ok=True)


def _take_secrets(manifest: Manifest) -> None:
    """The keys of the backup take the place of those that are here; those that a restore of another
    left, which did not come to its end, go."""
    own = {found[1] for name in manifest.parts if (found := SECRET.fullmatch(name))}
    for path in broken_off.keys_beside():
        name = path.name.removeprefix(broken_off.BESIDE)
        if name in own:
            path.replace(_data() / name)
        else:
            path.unlink(missing_ok=True)


def _remove_other_bytes() -> None:
    """Removes what was here and is not of the backup."""
    known = {pk.hex for pk in Organization.objects.values_list("pk", flat=True)}
    for name in list(place().organizations()):
        if storage.SHELVES_OF.fullmatch(name) and name not in known:
            place().clear(name)
    storage.remove_orphans()
    for folder in ("incoming", "uploads"):
        shutil.rmtree(_data() / folder, ignore_errors=True)


def _write(path: Path, content: Any) -> None:
    """Written and synced, for this user only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as sink:
        shutil.copyfileobj(content, sink, 1024 * 1024)
        sink.flush()
        os.fsync(sink.fileno())


def _data() -> Path:
    return Path(settings.DOCMILL_DATA_DIR)


def _mark_path() -> Path:
    return _data() / MARK
