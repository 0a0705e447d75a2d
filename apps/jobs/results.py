"""What a job's files came to, as streams: NDJSON and ZIP. Memory holds one file's result."""

import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from apps.jobs import storage
from apps.jobs.advice import advice_on
from apps.jobs.models import BatchFile, BatchJob, FileResult
from apps.queue.states import UNFINISHED

UNSAFE_IN_NAMES = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
MAX_NAME = 120


def files_in_order(job: BatchJob) -> list[BatchFile]:
    """The job's files with their results, in the order of submission.

    All at once, for they are few: a cursor that stays open while a client reads slowly would keep
    the database from tidying up behind it.
    """
    files = BatchFile.objects.filter(job=job).select_related("result__content")
    return list(files.order_by("position"))


def extraction(result: FileResult) -> dict[str, Any]:
    """The stored extraction: {text, pages, kind, engine, language, metadata, warnings, quality}."""
    stored: dict[str, Any] = json.loads(storage.path_of(result.content).read_bytes())
    return stored


def line(file: BatchFile) -> dict[str, Any]:
    """One file as results tell it: who it is, how it ended, and its extraction or None."""
    return {
        "id": str(file.id),
        "parent_id": str(file.parent_id) if file.parent_id else None,
        "position": file.position,
        "name": file.name,
        "sha256": file.sha256,
        "state": file.state,
        "error": error_of(file),
        "result": extraction(file.result) if hasattr(file, "result") else None,
    }


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


def ndjson(job: BatchJob) -> Iterator[bytes]:
    """One JSON document per line for every file of the job, failed and unfinished ones too."""
    for file in files_in_order(job):
        yield json.dumps(line(file), ensure_ascii=False).encode() + b"\n"


class _Sink:
    """An unseekable file that keeps what was written until it is taken."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, chunk: bytes) -> int:
        self._chunks.append(bytes(chunk))
        return len(chunk)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        taken, self._chunks = b"".join(self._chunks), []
        return taken


def archive(job: BatchJob) -> Iterator[bytes]:
    """A ZIP: `<position>-<name>.txt` and `.json` for each file with a result, then manifest.json.

    All lie side by side, those found in archives too. The manifest lists every file, so that what
    is missing from the archive is explained in it.
    """
    sink = _Sink()
    manifest: list[dict[str, Any]] = []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as bundle:  # type: ignore[call-overload]  # writes only
        files = files_in_order(job)
        digits = max(2, len(str(len(files))))
        for file in files:
            entry = line(file)
            result = entry.pop("result")
            entry["text"] = entry["json"] = None
            if result is not None:
                stem = _member_name(file, digits)
                entry["text"], entry["json"] = f"{stem}.txt", f"{stem}.json"
                bundle.writestr(entry["text"], result["text"])
                bundle.writestr(entry["json"], json.dumps(result, ensure_ascii=False, indent=1))
            manifest.append(entry)
            yield sink.take()
        bundle.writestr("manifest.json", json.dumps(_manifest(job, manifest), indent=1))
    yield sink.take()


def _manifest(job: BatchJob, files: list[dict[str, Any]]) -> dict[str, Any]:
    """Told from what was packed: the job may have gone on meanwhile."""
    return {
        "job": str(job.id),
        "name": job.name,
        "operation": job.operation,
        "state": job.state,
        "complete": not any(file["state"] in UNFINISHED for file in files),
        "expires_at": job.expires_at.isoformat(),
        "files": files,
    }


def _member_name(file: BatchFile, digits: int) -> str:
    """A name that is safe to unpack everywhere, unique by the file's position, and in its order."""
    safe = UNSAFE_IN_NAMES.sub("_", file.name).strip(". ")[:MAX_NAME] or "file"
    return f"{file.position:0{digits}d}-{safe}"
