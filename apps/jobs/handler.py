"""How the queue's engine works on a batch file: in an isolated child, then one transaction."""

import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from django.conf import settings
from django.db.models import Exists, F, OuterRef

from apps.core.sealing import Unsealable
from apps.jobs import storage
from apps.jobs.models import BatchFile, BatchJob, FileAttempt, FileResult
from apps.jobs.services import close_if_done, mark_started, options_of, recount
from apps.jobs.states import COUNTED
from apps.processors import errors as processing
from apps.processors import registry
from apps.processors.host import Budget, Outcome, ProcessorHost
from apps.processors.protocol import Extraction, Options
from apps.queue.handlers import Control, Handler, Output, RunFailed, RunStopped
from apps.queue.models import LeasedRow
from apps.queue.retry import Failure, FailureClass, Usage

HEAVY_FACTOR = 2
"""What the heavy lane gives more of: time and memory."""
REPAIR_BATCH = 200
FAILURE_CLASSES: dict[type[processing.ProcessingError], FailureClass] = {
    processing.BadDocument: FailureClass.PERMANENT,
    processing.Unavailable: FailureClass.TRANSIENT,
    processing.ChildCrashed: FailureClass.CRASH,
    processing.OutOfResources: FailureClass.RESOURCE,
    processing.ProcessorBug: FailureClass.TRANSIENT,
}


@dataclass(frozen=True)
class StoredExtraction:
    """An extraction and its JSON, synced to a file that waits to be put in place."""

    extraction: Extraction
    path: Path
    sha256: str
    size_bytes: int


class BatchFileHandler(Handler):
    """Extracts one file. Holds the slot's processor host."""

    model = BatchFile
    attempt_model = FileAttempt

    def __init__(self) -> None:
        self._host = ProcessorHost(settings.PROCESSORS)
        self._waiting: Path | None = None

    def run(self, row: LeasedRow, control: Control) -> Output:
        self._forget_waiting()
        file = cast(BatchFile, row)
        try:
            outcome = self._extract(file, control)
        except processing.Stopped as stopped:
            raise RunStopped from stopped
        except processing.ProcessingError as error:
            raise RunFailed(self._failure(error)) from error
        control.report("storing", 1.0)
        usage = Usage(outcome.peak_rss_bytes, outcome.cpu_seconds)
        return Output(self._store(outcome.extraction), usage)

    def close(self) -> None:
        self._forget_waiting()
        self._host.close()

    def _extract(self, file: BatchFile, control: Control) -> Outcome:
        if file.content is None or storage.is_gone(file.content):
            raise processing.BadDocument("document.gone", "The bytes of this file are gone.")
        operation = file.job.operation
        options = _options(file.job)
        if operation == "ocr":
            options = replace(options, ocr="force")
        factor = HEAVY_FACTOR if file.is_heavy else 1
        return self._host.run(
            processor=registry.processor_path_for(operation, file.kind),
            source=storage.path_of(file.content),
            name=file.name,
            kind=file.kind,
            options=options,
            owner=str(file.organization_id),
            budget=Budget(
                seconds=settings.PROCESSING_TIMEOUT_SECONDS * factor,
                silence_seconds=settings.PROCESSING_SILENCE_SECONDS * factor,
                memory_bytes=settings.PROCESSING_MEMORY_BYTES * factor,
            ),
            on_progress=lambda done, total, note: control.report(note, done / max(total, 1)),
            should_stop=control.should_stop,
        )

    def _failure(self, error: processing.ProcessingError) -> Failure:
        """`error` in the queue's terms; pages that were finished before are kept."""
        usage = error.usage or processing.Usage()
        partial = getattr(error, "partial", None)
        return Failure(
            FAILURE_CLASSES.get(type(error), FailureClass.TRANSIENT),
            error.code,
            error.detail,
            traceback=getattr(error, "traceback", "") or getattr(error, "stderr", ""),
            retry_after=getattr(error, "retry_after", None),
            output=self._store(partial) if partial is not None else None,
            usage=Usage(usage.peak_rss_bytes, usage.cpu_seconds),
        )

    def _store(self, extraction: Extraction) -> StoredExtraction:
        """Writes the extraction's JSON where `settled` can put it in place."""
        document = {"text": extraction.text, **extraction.to_json()}
        data = json.dumps(document, ensure_ascii=False).encode()
        path = self._waiting = storage.new_incoming_file()
        with path.open("wb") as sink:
            sink.write(data)
            sink.flush()
            os.fsync(sink.fileno())
        return StoredExtraction(extraction, path, hashlib.sha256(data).hexdigest(), len(data))

    def _forget_waiting(self) -> None:
        """Removes what a fenced run left behind: its result was not put in place."""
        if self._waiting is not None:
            self._waiting.unlink(missing_ok=True)
            self._waiting = None

    @classmethod
    def claimed(cls, row: LeasedRow) -> None:
        mark_started(cast(BatchFile, row).job_id)

    @classmethod
    def progressed(cls, row: LeasedRow) -> None:
        job = BatchJob.objects.filter(pk=cast(BatchFile, row).job_id)
        job.update(revision=F("revision") + 1)

    @classmethod
    def settled(cls, row: LeasedRow, output: Output | None) -> None:
        file = cast(BatchFile, row)
        if output is not None:
            _keep(file, output.value)
        changes: dict[str, Any] = {"revision": F("revision") + 1}
        if file.state in COUNTED:
            changes[file.state] = F(file.state) + 1
        BatchJob.objects.filter(pk=file.job_id).update(**changes)
        close_if_done(file.job_id)

    @classmethod
    def repair(cls) -> None:
        """Recounts and closes open jobs that have no unfinished file left."""
        unfinished = BatchFile.objects.unfinished().filter(job=OuterRef("pk"))
        stuck = BatchJob.objects.open().filter(~Exists(unfinished))
        for job_id in stuck.values_list("pk", flat=True)[:REPAIR_BATCH]:
            recount(job_id)


def _options(job: BatchJob) -> Options:
    try:
        return options_of(job)
    except Unsealable as error:
        raise processing.BadDocument(
            "document.password_lost",
            "The password cannot be opened any more: the server's secret key has changed. "
            "Submit the file again.",
        ) from error


def _keep(file: BatchFile, stored: StoredExtraction) -> None:
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
