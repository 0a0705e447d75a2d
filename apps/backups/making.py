"""Making a backup while the service runs: rows of one moment first, then the bytes they refer to.

It is written beside its place under a name with `.partial` and renamed when it is whole and synced,
so that a killed backup never looks like one. What comes later than its moment is not in it.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import IO
from uuid import UUID

from django.conf import settings
from django.db import connection, models
from django.db.models import Sum
from django.utils import timezone

from apps.backups import tables
from apps.backups.archive import Head, Table, Writer
from apps.backups.errors import BackupFailed
from apps.backups.models import Backup
from apps.backups.snapshot import database_bytes, of_one_moment
from apps.core.sealing import fingerprint
from apps.jobs import keeping
from apps.jobs.models import Blob
from apps.jobs.places import Key, place
from apps.jobs.places.folder import make_private, sync_directory

NAME = re.compile(r"docmill-\d{8}-\d{6}\.tar")
PARTIAL = ".partial"
SECRETS = ("secret_key", "audit_key")
"""Keys that an installation makes for itself, files of the data directory."""
SPARE_BYTES = 64 * 1024 * 1024
BLOBS = "jobs.Blob"

Tell = Callable[[int, int], object]
"""Hears how many bytes of how many are dealt with. What it raises ends the work."""


@dataclass(frozen=True)
class Plan:
    """What is going to be written where."""

    path: Path
    files: int
    size_bytes: int
    has_bytes: bool
    has_secrets: bool


@dataclass(frozen=True)
class Made:
    """A whole backup: `rows`, `files` and `size_bytes` count what is in it, `removed` are older
    ones that went for it, and `lost` and `damaged` name bytes that storage had lost before."""

    path: Path
    at: datetime
    size_bytes: int
    rows: int
    files: int
    lost: list[str]
    damaged: list[str]
    removed: list[Path]


def plan(target: Path | None, *, has_bytes: bool = True, has_secrets: bool = True) -> Plan:
    """A backup into the folder `target` (BACKUP_DIR where it is None), or into a new file of that
    name. Raises BackupFailed when it cannot be written there."""
    path = (target or Path(settings.BACKUP_DIR)).expanduser().absolute()
    if path.suffix != ".tar" or path.is_dir():
        path = _free(path / f"docmill-{datetime.now(UTC):%Y%m%d-%H%M%S}.tar")
    if path.exists():
        raise BackupFailed(f"{path} is there already, and is not overwritten.")
    stored = Blob.objects.aggregate(size=Sum("size_bytes"), count=models.Count("pk"))
    size = (stored["size"] or 0) if has_bytes else 0
    return Plan(path, stored["count"] if has_bytes else 0, size, has_bytes, has_secrets)


def _free(path: Path) -> Path:
    """`path`, or the next one of its name: two may be made in one second."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in count(2))
    return next(each for each in chain([path], numbered) if not each.exists())


def make(planned: Plan, *, keep: int = 0, tell: Tell = lambda _done, _total: None) -> Made:
    """Makes the backup, and then removes all but the newest `keep` of its folder (0: none are).

    Raises BackupFailed, and what `tell` raises; nothing is left then.
    """
    try:
        return _make(planned, keep, tell)
    except OSError as error:
        raise BackupFailed(f"The backup cannot be written: {error}.") from error


def _make(planned: Plan, keep: int, tell: Tell) -> Made:
    make_private(planned.path.parent)
    _remove_dead_partials(planned.path.parent)
    _check_room(planned)
    with _partial(planned.path) as (sink, partial), keeping.all_bytes():
        at, writer, rows = _filled(sink, planned, tell)
        sink.flush()
        os.fsync(sink.fileno())
        size = os.fstat(sink.fileno()).st_size
        partial.rename(planned.path)
    sync_directory(planned.path.parent)
    told = writer.manifest
    Backup.objects.create(
        at=at,
        path=str(planned.path)[:500],
        size_bytes=size,
        files=told.files,
        lost=len(told.lost),
        has_bytes=planned.has_bytes,
    )
    removed = rotate(planned.path.parent, keep) if keep else []
    return Made(planned.path, at, size, rows, told.files, told.lost, told.damaged, removed)


def rotate(folder: Path, keep: int) -> list[Path]:
    """Removes all but the newest `keep` backups of the folder that have the names we give them;
    which."""
    old = sorted((p for p in folder.iterdir() if NAME.fullmatch(p.name)), reverse=True)[keep:]
    for path in old:
        path.unlink(missing_ok=True)
    return old


def secret_files() -> list[Path]:
    """Those of SECRETS that this installation uses."""
    paths = (Path(settings.DOCMILL_DATA_DIR) / name for name in SECRETS)
    return [path for path in paths if path.is_file()]


def _filled(sink: IO[bytes], planned: Plan, tell: Tell) -> tuple[datetime, Writer, int]:
    """Everything, written to `sink`: the moment that it is of, and how many rows there are."""
    with ExitStack() as stack:
        with of_one_moment() as at:
            found, applied = tables.applied_models()
            writer = Writer(sink, _head(planned, at, applied))
            blobs = None
            for model in found:
                if model._meta.label in tables.LEFT_OUT:
                    continue
                spool = stack.enter_context(tempfile.TemporaryFile(dir=planned.path.parent))
                _add_table(writer, model, spool, lambda: tell(0, planned.size_bytes))
                if model._meta.label == BLOBS:
                    blobs = spool
                else:
                    spool.close()
        if planned.has_secrets:
            for path in secret_files():
                with path.open("rb") as content:
                    writer.add_part(f"secrets/{path.name}", content, path.stat().st_size)
        if planned.has_bytes and blobs is not None:
            blobs.seek(0)
            _add_bytes(writer, blobs, planned.size_bytes, tell)
        writer.end()
    return at, writer, sum(table.rows for table in writer.manifest.tables)


def _head(planned: Plan, at: datetime, applied: list[tuple[str, str]]) -> Head:
    return Head(
        version=settings.VERSION,
        at=at.isoformat(),
        database=connection.vendor,
        migrations=[list(key) for key in applied],
        secret=fingerprint(settings.SECRET_KEY),
        has_bytes=planned.has_bytes,
        has_secrets=planned.has_secrets and bool(secret_files()),
    )


def _add_table(
    writer: Writer, model: type[models.Model], spool: IO[bytes], tick: Callable[[], object]
) -> None:
    count = tables.write(model, spool, tick)
    size = spool.tell()
    spool.seek(0)
    name = model._meta.db_table
    writer.add_part(f"database/{name}.jsonl.gz", spool, size)
    names = [field.attname for field in tables.columns(model)]
    writer.manifest.tables.append(Table(model._meta.label, name, names, count))


def _add_bytes(writer: Writer, blobs: IO[bytes], total: int, tell: Tell) -> None:
    """The bytes of every row in `blobs`, which are a table's as they were written."""
    names = next(t.columns for t in writer.manifest.tables if t.model == BLOBS)
    number, organization, sha256 = map(names.index, ("id", "organization_id", "sha256"))
    done = 0

    def tick(size: int) -> None:
        nonlocal done
        done += size
        tell(done, total)

    for row in tables.read(blobs):
        key = Key(UUID(row[organization]), row[sha256])
        size = place().size(key)
        if size is None:
            # What nobody refers to yet may be on its way to a bucket.
            if not Blob.objects.filter(pk=row[number]).unused().exists():
                writer.manifest.lost.append(str(key))
            continue
        with place().open(key) as content:
            writer.add_blob(str(key), content, size, tick)


def _check_room(planned: Plan) -> None:
    """Raises BackupFailed when it would not fit."""
    needed = planned.size_bytes + database_bytes() + SPARE_BYTES
    free = shutil.disk_usage(planned.path.parent).free
    if free < needed:
        raise BackupFailed(
            f"It needs about {_mb(needed)}, and {planned.path.parent} has {_mb(free)} free."
        )


def _mb(size: int) -> str:
    return f"{size / 1024**2:,.0f} MB"


@contextmanager
def _partial(path: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """The file as long as it is not whole; gone if it never is. It is locked, which ends with the
    process."""
    partial = path.with_name(f".{path.name}{PARTIAL}")
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        with os.fdopen(descriptor, "wb") as sink:
            yield sink, partial
    finally:
        partial.unlink(missing_ok=True)


def _remove_dead_partials(folder: Path) -> None:
    """Removes what killed backups left: files that nobody has locked."""
    for path in folder.glob(f".*.tar{PARTIAL}"):
        try:
            with path.open("rb") as content:
                fcntl.flock(content, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
        except OSError:
            continue  # being written, or gone


def last_backup() -> Backup | None:
    """The newest that was made by this installation."""
    found: Backup | None = Backup.objects.latest_first().first()
    return found


def age_seconds(backup: Backup) -> float:
    return (timezone.now() - backup.at).total_seconds()
