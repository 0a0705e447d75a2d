"""What was read of a file is kept before the file ends, so that a run which comes after a lost one,
or after a disk that was full, stores it and does not read again.

Only for reading that took its time: a short document is read again sooner than it is kept. Not for
what other documents were found in, whose bytes would have to be kept as well.
"""

import json
import shutil
import uuid
from dataclasses import replace
from pathlib import Path

from django.db import transaction

from apps.jobs import storage
from apps.jobs.extractions import StoredExtraction, StoredFile, incoming
from apps.jobs.models import BatchFile, Checkpoint
from apps.processors.protocol import Extraction
from apps.queue.states import State

WORTH_SECONDS = 1.0
"""How long reading must have taken."""
READING = "reading"
"""The stage whose outcome is kept."""


def save(file: BatchFile, stored: StoredExtraction, *, fingerprint: str) -> StoredExtraction:
    """Keeps what was read, if the file is still ours; `stored`, which settling now forgets it by.

    `fingerprint` says of what and by what it was made.
    """
    if not fingerprint or stored.found or stored.searchable:
        return stored
    with transaction.atomic():
        mine = BatchFile.objects.select_for_update(no_key=True).filter(
            pk=file.pk, lease_token=file.lease_token, state=State.RUNNING
        )
        if not mine.exists():
            return stored
        blob = storage.put(file.organization, incoming(stored.content))
        Checkpoint.objects.update_or_create(
            file=file, stage=READING, defaults={"fingerprint": fingerprint, "content": blob}
        )
    return replace(stored, is_checkpointed=True)


def load(file: BatchFile, folder: Path, *, fingerprint: str) -> StoredExtraction | None:
    """What an earlier run kept, as if it had been read and written to `folder` now; None when there
    is nothing that fits."""
    kept = Checkpoint.objects.filter(file=file, stage=READING).select_related("content").first()
    if kept is None or kept.fingerprint != fingerprint:
        return None
    path = folder / f"{uuid.uuid4().hex}.json"
    try:
        with storage.open_bytes(kept.content) as stored, path.open("wb") as copy:
            shutil.copyfileobj(stored, copy)
    except FileNotFoundError:
        return None
    raw = json.loads(path.read_bytes())
    extraction = Extraction.from_json({**raw, "artifacts": []})
    content = StoredFile(path, kept.content.sha256, kept.content.size_bytes)
    return StoredExtraction(extraction, content, is_checkpointed=True)


def forget(file: BatchFile) -> None:
    """The file has its result. In the transaction that stores that."""
    Checkpoint.objects.filter(file=file).delete()
