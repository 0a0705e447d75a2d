"""What was read of a file, on its way from a run to the store and the file's result row."""

import hashlib
import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from apps.jobs import storage
from apps.jobs.models import BatchFile, Blob, FileResult
from apps.jobs.upload import Received
from apps.processors.protocol import Extraction


@dataclass(frozen=True)
class StoredFile:
    path: Path
    sha256: str
    size_bytes: int
    blob_id: int | None = None


@dataclass(frozen=True)
class StoredExtraction:
    """An extraction, and its JSON and searchable PDF, synced to files that wait to be put in place;
    `found` are the documents that were in it. `is_checkpointed`: it was kept before, too."""

    extraction: Extraction
    content: StoredFile
    found: tuple[Received, ...] = ()
    searchable: StoredFile | None = None
    is_checkpointed: bool = False


def write(extraction: Extraction, folder: Path, found: Sequence[Received] = ()) -> StoredExtraction:
    """Writes the extraction as JSON into a new file in `folder`.

    Its members are those in `found`: what each is called, and why it is not read where it is not.
    Its artifacts have addresses of their own, and lie at absolute paths already.
    """
    data = _encoded(extraction, [_told(each) for each in found])
    path = folder / f"{uuid.uuid4().hex}.json"
    with path.open("wb") as sink:
        sink.write(data)
        sink.flush()
        os.fsync(sink.fileno())
    content = StoredFile(path, hashlib.sha256(data).hexdigest(), len(data))
    made = [_synced(Path(artifact.path)) for artifact in extraction.artifacts]
    return StoredExtraction(extraction, content, tuple(found), made[0] if made else None)


def _encoded(extraction: Extraction, members: list[dict[str, str]]) -> bytes:
    """{"text": of all pages, "pages": [...], ...}. Every text is encoded once and stands there
    twice: of a long document that is most of what storing it costs."""
    rest = {**extraction.to_json(), "members": members}
    del rest["artifacts"], rest["pages"]
    texts, pages = [], []
    for page in extraction.pages:
        shown = page.to_json()
        texts.append(_dumped(shown.pop("text")))
        pages.append(f'{{"text": {texts[-1]}, {_dumped(shown)[1:]}')
    whole = r"\n\n".join(text[1:-1] for text in texts)
    return f'{{"text": "{whole}", "pages": [{", ".join(pages)}], {_dumped(rest)[1:]}'.encode()


_dumped = json.JSONEncoder(ensure_ascii=False).encode


def _synced(path: Path) -> StoredFile:
    with path.open("rb") as content:
        os.fsync(content.fileno())
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        return StoredFile(path, digest, content.tell())


def cut(stored: StoredExtraction, taken: int, warning: str) -> StoredExtraction:
    """The same with the first `taken` of the found documents only, and with a warning of that."""
    extraction = replace(
        stored.extraction, warnings=(*stored.extraction.warnings, warning), quality="partial"
    )
    return write(extraction, stored.content.path.parent, stored.found[:taken])


def bring(file: BatchFile, stored: StoredExtraction) -> StoredExtraction:
    """Has it on its way to where `keep` puts it in place; the same, knowing that. Raises
    StorageUnavailable."""
    made = [each for each in (stored.content, stored.searchable) if each is not None]
    brought = storage.bring(file.organization, map(incoming, made))
    known = [
        replace(each, blob_id=there.blob_id) for each, there in zip(made, brought, strict=True)
    ]
    return replace(stored, content=known[0], searchable=known[1] if known[1:] else None)


def keep(file: BatchFile, stored: StoredExtraction) -> None:
    """Puts the extraction in place and its summary into the file's result row."""
    extraction = stored.extraction
    before = FileResult.objects.filter(file=file).first()
    result, _ = FileResult.objects.update_or_create(
        file=file,
        defaults={
            "run": file.run,
            "content": _put(file, stored.content),
            "searchable": _put(file, stored.searchable) if stored.searchable else None,
            "pages": extraction.page_count,
            "words": extraction.word_count,
            "language": extraction.language,
            "quality": extraction.quality,
            "engine": extraction.engine[:100],
            "metadata": dict(extraction.metadata),
            "warnings": list(extraction.warnings),
        },
    )
    if before is not None and (replaced := before.blob_ids - result.blob_ids):
        storage.release_on_commit(replaced)


def _put(file: BatchFile, stored: StoredFile) -> Blob:
    return storage.put(file.organization, incoming(stored))


def incoming(stored: StoredFile) -> storage.Incoming:
    return storage.Incoming(stored.path, stored.sha256, stored.size_bytes, stored.blob_id)


def _told(found: Received) -> dict[str, str]:
    told = {"name": found.name}
    if found.problem is not None:
        told |= {"code": found.problem.code, "detail": found.problem.detail}
    return told
