"""ZIP: the text and the extraction of every file, what failed, and a manifest of all.

All files of a job lie side by side, those found in archives too; of several jobs each has a folder.
Its bytes are the same each time that they are made of the same contents.
"""

import json
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

from apps.core.csv_rows import BYTE_ORDER_MARK, row_in_csv
from apps.jobs.contents import Contents, Entry, Section
from apps.jobs.file_names import safe_name
from apps.jobs.formats.facts import line_of, row_of
from apps.jobs.formats.format import Format
from apps.jobs.formats.ndjson import extraction_of

ERROR_COLUMNS = (
    "job_id", "position", "id", "name", "state", "error_code", "error_class", "error_detail",
    "advice",
)  # fmt: skip
WRITTEN_TOGETHER = 64 * 1024
NEEDS_ZIP64 = 1024**3
"""From this size on a member's header has room for more than 4 GB."""


class _Sink:
    """An unseekable file that keeps what was written until it is taken."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0

    def write(self, chunk: bytes) -> int:
        self._chunks.append(bytes(chunk))
        self._size += len(chunk)
        return len(chunk)

    def flush(self) -> None:
        pass

    def take(self, at_least: int = 0) -> Iterator[bytes]:
        """What was written since, if it is so much."""
        if self._size > at_least:
            yield b"".join(self._chunks)
            self._chunks, self._size = [], 0


class _Bundle:
    """A ZIP that is written member by member."""

    def __init__(self, contents: Contents) -> None:
        self._sink = _Sink()
        self._date = contents.moment.timetuple()[:6]
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED)  # type: ignore[call-overload]  # writes only

    def member(self, name: str, chunks: Iterable[bytes], size_bytes: int = 0) -> Iterator[bytes]:
        """Adds a member; what came of the ZIP meanwhile."""
        info = zipfile.ZipInfo(name, self._date)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        with self._zip.open(info, "w", force_zip64=size_bytes > NEEDS_ZIP64) as member:
            for chunk in chunks:
                member.write(chunk)
                yield from self._sink.take(WRITTEN_TOGETHER)

    def end(self) -> Iterator[bytes]:
        self._zip.close()
        yield from self._sink.take()


def write(contents: Contents) -> Iterator[bytes]:
    bundle, told, failed = _Bundle(contents), list[dict[str, Any]](), list[Entry]()
    for entry in contents.entries():
        line = line_of(entry) | {"text": None, "json": None}
        if entry.result is not None:
            stem = _folder(contents, entry.section) + _stem(entry)
            line |= {"text": f"{stem}.txt", "json": f"{stem}.json"}
            size_bytes = entry.result.content.size_bytes
            texts = (text.encode() for text in entry.texts())
            yield from bundle.member(line["text"], texts, size_bytes)
            yield from bundle.member(line["json"], extraction_of(entry), size_bytes)
        if line["error"] is not None:
            failed.append(entry)
        told.append(line)
    yield from bundle.member("errors.csv", _errors(failed))
    yield from bundle.member("manifest.json", [_manifest(contents, told)])
    yield from bundle.end()


def _folder(contents: Contents, section: Section) -> str:
    """With its slash; "" in a ZIP of one job."""
    if len(contents.sections) == 1:
        return ""
    number = contents.sections.index(section) + 1
    return f"{number:02d}-{safe_name(section.job.name, str(section.job.id))}/"


def _stem(entry: Entry) -> str:
    """Unique by the file's position, and in its order."""
    digits = max(2, len(str(len(entry.section.files))))
    return f"{entry.file.position:0{digits}d}-{safe_name(entry.file.name)}"


def _errors(failed: Iterable[Entry]) -> Iterator[bytes]:
    """A row for each file that failed, was refused, or waits to be tried again."""
    yield f"{BYTE_ORDER_MARK}{row_in_csv(ERROR_COLUMNS)}\r\n".encode()
    for entry in failed:
        row = row_of(entry)
        yield f"{row_in_csv(row[name] for name in ERROR_COLUMNS)}\r\n".encode()


def _manifest(contents: Contents, told: list[dict[str, Any]]) -> bytes:
    """Every file of every job, those without a result too: what is missing is explained here."""
    jobs = [_of_job(each, told) for each in contents.sections]
    whole = jobs[0] if len(jobs) == 1 else {"complete": contents.is_complete, "jobs": jobs}
    return json.dumps(whole, indent=1).encode()


def _of_job(section: Section, told: list[dict[str, Any]]) -> dict[str, Any]:
    job = section.job
    return {
        "job": str(job.id),
        "name": job.name,
        "operation": job.operation,
        "state": job.state,
        "complete": section.is_complete,
        "expires_at": None if job.is_kept else job.expires_at.isoformat(),
        "files": [line for line in told if line["job_id"] == str(job.id)],
    }


FORMAT = Format(
    name="zip",
    label="ZIP",
    media_type="application/zip",
    about="A folder with the text of each file, all that was read as JSON, and a list of errors.",
    write=write,
    icon="download",
)
