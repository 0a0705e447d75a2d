"""What was read of a file, on its way from a run to the store and the file's result row."""

import hashlib
import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from apps.jobs import storage
from apps.jobs.models import BatchFile, FileResult
from apps.jobs.upload import Received
from apps.processors.protocol import Extraction


@dataclass(frozen=True)
class StoredExtraction:
    """An extraction and its JSON, synced to a file that waits to be put in place; `found` are the
    documents that were in it."""

    extraction: Extraction
    path: Path
    sha256: str
    size_bytes: int
    found: tuple[Received, ...] = ()


def write(extraction: Extraction, folder: Path, found: Sequence[Received] = ()) -> StoredExtraction:
    """Writes the extraction as JSON into a new file in `folder`.

    Its members are those in `found`: what each is called, and why it is not read where it is not.
    """
    document = {
        "text": extraction.text,
        **extraction.to_json(),
        "members": [_told(each) for each in found],
    }
    data = json.dumps(document, ensure_ascii=False).encode()
    path = folder / f"{uuid.uuid4().hex}.json"
    with path.open("wb") as sink:
        sink.write(data)
        sink.flush()
        os.fsync(sink.fileno())
    digest = hashlib.sha256(data).hexdigest()
    return StoredExtraction(extraction, path, digest, len(data), tuple(found))


def cut(stored: StoredExtraction, taken: int, warning: str) -> StoredExtraction:
    """The same with the first `taken` of the found documents only, and with a warning of that."""
    extraction = replace(
        stored.extraction, warnings=(*stored.extraction.warnings, warning), quality="partial"
    )
    return write(extraction, stored.path.parent, stored.found[:taken])


def keep(file: BatchFile, stored: StoredExtraction) -> None:
    """Puts the extraction in place and its summary into the file's result row."""
    extraction = stored.extraction
    replaced = FileResult.objects.filter(file=file).values_list("content_id", flat=True).first()
    blob = storage.put(
        file.organization, stored.path, sha256=stored.sha256, size_bytes=stored.size_bytes
    )
    FileResult.objects.update_or_create(
        file=file,
        defaults={
            "run": file.run,
            "content": blob,
            "pages": extraction.page_count,
            "words": extraction.word_count,
            "language": extraction.language,
            "quality": extraction.quality,
            "engine": extraction.engine[:100],
            "metadata": dict(extraction.metadata),
            "warnings": list(extraction.warnings),
        },
    )
    if replaced is not None and replaced != blob.pk:
        storage.release_on_commit({replaced})


def _told(found: Received) -> dict[str, str]:
    told = {"name": found.name}
    if found.problem is not None:
        told |= {"code": found.problem.code, "detail": found.problem.detail}
    return told
