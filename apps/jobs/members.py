"""Documents found inside documents: each becomes a file of the same job, and is read on its own."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from django.conf import settings
from django.db.models import Count, F, Max

from apps.jobs.live import live_of
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services import (
    add_files,
    file_rows,
    options_of,
    refuse_what_no_processor_takes,
)
from apps.jobs.states import REJECTED
from apps.jobs.upload import MAX_NAME, Received, too_large
from apps.processors.errors import BadDocument
from apps.processors.kinds import KINDS, check_name, identify
from apps.processors.protocol import Extraction, Member

MAX_DEPTH = 3
"""What was found so many containers deep is read, but nothing is taken out of it any more."""
CUT = "..."


def check_depth(file: BatchFile) -> None:
    """Raises BadDocument "document.nested" for an archive that is not opened any more."""
    if not is_opened(file) and KINDS[file.kind].family == "archive":
        raise BadDocument(
            "document.nested", f"Archives in archives are opened to a depth of {MAX_DEPTH}."
        )


def is_opened(file: BatchFile) -> bool:
    """Whether documents found in `file` are taken out of it."""
    return file.depth < MAX_DEPTH


def receive(operation: str, members: Iterable[Member]) -> list[Received]:
    """`members`, whose bytes lie at absolute paths, as if they had been uploaded for `operation`.

    Raises OSError when they cannot be read or synced.
    """
    files = [_received(member) for member in members]
    refuse_what_no_processor_takes(operation, files)
    return files


def without_members(extraction: Extraction) -> Extraction:
    """What is kept of a document whose members are not read any more: it, and a warning."""
    count = len(extraction.members)
    what = "1 document in it was" if count == 1 else f"{count} documents in it were"
    warning = f"{what} not read: what is in documents is taken out to a depth of {MAX_DEPTH}."
    return replace(
        extraction, members=(), quality="partial", warnings=(*extraction.warnings, warning)
    )


def too_many(count: int) -> str:
    """The warning of a container from which `count` files were not taken."""
    limit = settings.BATCH_MAX_FOUND
    what = "1 of its files was" if count == 1 else f"{count} of its files were"
    return f"{what} not taken: a job takes at most {limit} found files."


def _received(member: Member) -> Received:
    name = member.name.removeprefix("./")  # as bsdtar writes it
    received = Received(name=_shortened(name))
    try:
        if not member.path:
            raise BadDocument(member.code, member.detail)
        parts = name.split("/")
        for part in parts:
            check_name(part)
        _judge(received, parts[-1], Path(member.path))
    except BadDocument as problem:
        received.problem = problem
    return received


def _judge(received: Received, name: str, path: Path) -> None:
    """Finds out what the file is, and leaves it synced. Raises BadDocument."""
    received.size_bytes = path.stat().st_size
    if received.size_bytes > settings.BATCH_MAX_FILE_BYTES:
        raise too_large()
    with path.open("rb") as content:
        received.sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        os.fsync(content.fileno())
        kind = identify(name, content)
    received.kind, received.content_type, received.path = kind.name, kind.media_type, path


def _shortened(name: str) -> str:
    """`name` without its beginning where it is long: what a file is stands at the end."""
    return name if len(name) <= MAX_NAME else CUT + name[-(MAX_NAME - len(CUT)) :]


def add(container: BatchFile, found: Sequence[Received]) -> int:
    """Makes files of the container's job of `found`; how many were taken, for a job takes so many
    only. Call it in the transaction that ends the container, after its own state was written.

    The job is locked from here to the end of that transaction: so no position is given twice, the
    limit is exact, and nobody has seen more progress than is noted as its floor.
    """
    job = BatchJob.objects.select_for_update().get(pk=container.job_id)
    files = BatchFile.objects.filter(job=job)
    known = files.aggregate(last=Max("position"), found=Count("parent"))
    taken = found[: max(0, settings.BATCH_MAX_FOUND - known["found"])]
    container.refresh_from_db(fields=["finished_at"])
    rows = file_rows(job, taken, options=options_of(job), parent=container, first=known["last"] + 1)
    rejected = sum(row.state == REJECTED for row in rows)
    floor = live_of([job])[job.pk].progress
    BatchJob.objects.filter(pk=job.pk).update(
        total=F("total") + len(rows), rejected=F("rejected") + rejected, progress_floor=floor
    )
    add_files(job, rows)
    return len(taken)
