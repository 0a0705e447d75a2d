"""What files came to: the result of each. All of a job's at once are `formats`."""

import json
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.caching.cache import Outcome
from apps.caching.decorators import cached
from apps.caching.invalidation import invalidate
from apps.jobs import storage
from apps.jobs.advice import advice_on
from apps.jobs.models import BatchFile, BatchJob, Blob, FileResult
from apps.jobs.page_stream import texts_at

KEPT_WHOLE_BYTES = 4 * 1024 * 1024
"""An extraction that is larger is streamed from storage: it would fill the web process's memory."""


def files_in_order(job: BatchJob) -> list[BatchFile]:
    """The job's files with their results, in the order of submission.

    All at once, for they are few: a cursor that stays open while a client reads slowly would keep
    the database from tidying up behind it.
    """
    files = BatchFile.objects.filter(job=job).select_related("result__content")
    return list(files.order_by("position"))


def _tags_of_bytes(organization_id: UUID, sha256: str) -> list[str]:
    return [f"bytes:{organization_id}/{sha256}"]


@cached("text", tenant="organization_id", tags=_tags_of_bytes)
def _text(organization_id: UUID, sha256: str) -> str:
    text: str = json.loads(_stored(organization_id, sha256))["text"]
    return text


@cached("text", tenant="organization_id", tags=_tags_of_bytes)
def _stored(organization_id: UUID, sha256: str) -> bytes:
    return storage.read_bytes(Blob(organization_id=organization_id, sha256=sha256))


def text(result: FileResult) -> Outcome | None:
    """The text that was read; None for one that is better read piece by piece. Raises
    FileNotFoundError when its bytes are gone."""
    if result.content.size_bytes > KEPT_WHOLE_BYTES:
        return None
    return _text.outcome(result.content.organization_id, result.content.sha256)


def text_in_pieces(result: FileResult) -> Iterator[bytes]:
    """The same as UTF-8. The first one raises FileNotFoundError when its bytes are gone."""
    with storage.local(result.content) as path:
        for piece in texts_at(path):
            yield piece.encode()


def stored(result: FileResult) -> Outcome | None:
    """The extraction as it is stored; None for one that is better read piece by piece. Raises
    FileNotFoundError when its bytes are gone."""
    if result.content.size_bytes > KEPT_WHOLE_BYTES:
        return None
    return _stored.outcome(result.content.organization_id, result.content.sha256)


def forget(blobs: Iterable[Blob]) -> None:
    """What is kept of these bytes goes with them, at the commit."""
    gone = [(blob.organization_id, blob.sha256) for blob in blobs]
    invalidate(*(tag for of in gone for tag in _tags_of_bytes(*of)))
    transaction.on_commit(lambda: _forget(gone), robust=True)


def _forget(gone: Iterable[tuple[UUID, str]]) -> None:
    for of in gone:
        _text.forget(*of)
        _stored.forget(*of)


def extraction(result: FileResult) -> dict[str, Any]:
    """The stored extraction: {text, pages, kind, engine, language, metadata, warnings, quality}."""
    stored: dict[str, Any] = json.loads(storage.read_bytes(result.content))
    return stored


def error_of(file: BatchFile) -> dict[str, str] | None:
    """Why the file failed or waits to be tried again, and what can be done; None when nothing is
    wrong."""
    if not file.error_code:
        return None
    return {
        "code": file.error_code,
        "class": file.error_class,
        "detail": file.error_detail,
        "advice": advice_on(file.error_code),
    }
