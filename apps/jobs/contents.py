"""What a download of results is of: jobs and their files as they were at one moment."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.jobs import results, storage
from apps.jobs.file_names import safe_name
from apps.jobs.models import BatchFile, BatchJob, FileResult
from apps.jobs.page_stream import pages_at, texts_at
from apps.queue.states import UNFINISHED

LOST = {
    "code": "file.lost",
    "class": "infra",
    "detail": "The bytes of its result are not in storage any more.",
    "advice": "Run the file again; manage.py doctor tells an operator what else is missing.",
}
Tell = Callable[[int, int], object]
"""Hears how many files of how many are dealt with."""


@dataclass(frozen=True)
class Section:
    """One job and its files, in the order of submission."""

    job: BatchJob
    files: Sequence[BatchFile]

    @property
    def is_complete(self) -> bool:
        """Told from the files, not from the job: it may have gone on between the two."""
        return not any(file.state in UNFINISHED for file in self.files)


@dataclass(frozen=True)
class Contents:
    """The jobs of a download. What formats write is told from this alone."""

    sections: Sequence[Section]
    tell: Tell = lambda _done, _total: None

    @classmethod
    def of(cls, jobs: Sequence[BatchJob]) -> "Contents":
        """Two or three queries for each job."""
        return cls([Section(job, results.files_in_order(job)) for job in jobs])

    def telling(self, tell: Tell) -> "Contents":
        return replace(self, tell=tell)

    @property
    def is_complete(self) -> bool:
        return all(section.is_complete for section in self.sections)

    @property
    def expires_at(self) -> datetime | None:
        """When the first of the jobs may be removed; None where all are kept."""
        times = [each.job.expires_at for each in self.sections if not each.job.is_kept]
        return min(times, default=None)

    @property
    def size_bytes(self) -> int:
        """Of all stored extractions together: what a download has about as much of."""
        found = (result_of(file) for section in self.sections for file in section.files)
        return sum(result.content.size_bytes for result in found if result is not None)

    @property
    def is_large(self) -> bool:
        return bool(self.size_bytes > settings.EXPORT_DIRECT_BYTES)

    @property
    def moment(self) -> datetime:
        """What the download says of its age: the same contents make the same bytes."""
        return max(s.job.finished_at or s.job.created_at for s in self.sections)

    def download_name(self, ending: str) -> str:
        """What a download is called where it is kept: it says so when it is not whole."""
        first = self.sections[0].job
        name = safe_name(first.name, str(first.id))
        if len(self.sections) > 1:
            name = f"{name} and {len(self.sections) - 1} more"
        return f"{name}{'' if self.is_complete else ' (partial)'}.{ending}"

    def entries(self) -> Iterator["Entry"]:
        """Every file of every job; those that were dealt with are told of."""
        total = sum(len(section.files) for section in self.sections)
        done = 0
        for section in self.sections:
            for file in section.files:
                yield Entry(section, file)
                done += 1
                self.tell(done, total)

    def fingerprint(self, kind: str) -> str:
        """The same for the same contents in the same format, told from rows alone."""
        return hashlib.sha256(f"{kind} {self._digest}".encode()).hexdigest()

    @cached_property
    def _digest(self) -> str:
        told: list[Any] = []
        for section in self.sections:
            told += [_told_of_job(section.job), *map(_told_of_file, section.files)]
        return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Entry:
    """A file of a download. Its text and pages are read from storage piece by piece."""

    section: Section
    file: BatchFile

    @property
    def result(self) -> FileResult | None:
        """None for a file that has none, and for one whose bytes are lost."""
        found = result_of(self.file)
        return None if found is None or self.is_lost else found

    @cached_property  # a bucket is far away
    def is_lost(self) -> bool:
        found = result_of(self.file)
        return found is not None and not storage.is_there(found.content)

    @contextmanager
    def stored(self) -> Iterator[Path]:
        """A file of this machine with the stored extraction."""
        assert self.result is not None
        with storage.local(self.result.content) as path:
            yield path

    @property
    def error(self) -> dict[str, str] | None:
        return dict(LOST) if self.is_lost else results.error_of(self.file)

    def pages(self) -> Iterator[dict[str, Any]]:
        with self.stored() as path:
            yield from pages_at(path)

    def texts(self) -> Iterator[str]:
        with self.stored() as path:
            yield from texts_at(path)


def result_of(file: BatchFile) -> FileResult | None:
    return getattr(file, "result", None)


def _told_of_job(job: BatchJob) -> list[Any]:
    expires_at = None if job.is_kept else job.expires_at
    return [job.pk, job.name, job.operation, job.state, job.finished_at, expires_at]


def _told_of_file(file: BatchFile) -> list[Any]:
    result = result_of(file)
    read = [result.content.sha256, result.warnings] if result is not None else None
    return [file.pk, file.state, file.error_code, file.error_detail, read]
