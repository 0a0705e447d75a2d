"""How the queue's engine works on a batch file: in an isolated child, then one transaction."""

import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import cast

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef

from apps.core import tracing
from apps.core.sealing import Unsealable, without
from apps.jobs import antivirus, checkpoints, extractions, members, storage
from apps.jobs.errors import StorageFull, StorageUnavailable
from apps.jobs.extractions import StoredExtraction
from apps.jobs.models import BatchFile, BatchJob, FileAttempt, FileResult
from apps.jobs.news import tell_on_commit
from apps.jobs.publishing import publish_file_end
from apps.jobs.services import (
    count_end,
    following,
    mark_started,
    options_of,
    pause_by_system,
    recount,
    reuse,
)
from apps.jobs.services.submitting import bring
from apps.jobs.states import JobState
from apps.jobs.upload import Received
from apps.processors import errors as processing
from apps.processors import registry
from apps.processors.host import Budget, Outcome, ProcessorHost
from apps.processors.protocol import Extraction, Options
from apps.queue.handlers import Control, Handler, Output, RunFailed, RunStopped
from apps.queue.models import LeasedRow
from apps.queue.retry import Failure, FailureClass, Usage
from apps.queue.states import FINISHED, READY, State

ELSEWHERE = (
    "The bytes of this file are missing with all others of its organization, or left in another "
    "place: STORAGE_URL or DOCMILL_DATA_DIR has changed, or a disk is not mounted."
)
RETRY_SECONDS = 30
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


class BatchFileHandler(Handler):
    """Extracts one file. Holds the slot's processor host."""

    model = BatchFile
    attempt_model = FileAttempt

    def __init__(self) -> None:
        self._host = ProcessorHost(settings.PROCESSORS)
        self._waiting: Path | None = None

    @classmethod
    def is_on(cls) -> bool:
        return bool(settings.ENABLE_BATCH)

    def run(self, row: LeasedRow, control: Control) -> Output:
        self._forget_waiting()
        file = cast(BatchFile, row)
        options = Options()
        try:
            try:
                options = _options(file.job)
                stored, usage = self._read(file, options, control)
            except processing.Stopped as stopped:
                raise RunStopped from stopped
            except processing.ProcessingError as error:
                raise RunFailed(self._failure(file, error, options.password)) from error
        except (StorageFull, StorageUnavailable) as full:
            raise RunFailed(_no_room(full)) from full
        return Output(stored, usage)

    def close(self) -> None:
        self._forget_waiting()
        self._host.close()

    def _read(
        self, file: BatchFile, options: Options, control: Control
    ) -> tuple[StoredExtraction, Usage]:
        """What is in the file: kept by an earlier run, or read now."""
        fingerprint = reuse.work_key(file.job.operation, options, file)
        kept = None
        if file.attempts > 1:
            kept = checkpoints.load(file, self._folder(), fingerprint=fingerprint)
        if kept is not None:
            control.report("storing", 1.0)
            return kept, Usage()
        began = time.monotonic()
        outcome = self._extract(file, options, control)
        control.report("storing", 1.0)
        stored = self._stored(file, outcome.extraction)
        bring(file.organization, stored.found, file.job.operation, options)
        stored = extractions.bring(file, stored)
        if time.monotonic() - began >= checkpoints.WORTH_SECONDS:
            stored = checkpoints.save(file, stored, fingerprint=fingerprint)
        return stored, Usage(outcome.peak_rss_bytes, outcome.cpu_seconds)

    def _extract(self, file: BatchFile, options: Options, control: Control) -> Outcome:
        members.check_depth(file)
        if file.content is None or storage.is_gone(file.content):
            raise processing.BadDocument("document.gone", "The bytes of this file are gone.")
        with ExitStack() as stack:
            try:
                source = stack.enter_context(storage.local(file.content))
            except FileNotFoundError as error:
                raise StorageUnavailable(ELSEWHERE, retry_after=RETRY_SECONDS) from error
            antivirus.check(source)
            return self._run_host(file, source, options, control)

    def _run_host(
        self, file: BatchFile, source: Path, options: Options, control: Control
    ) -> Outcome:
        operation = file.job.operation
        if operation == "ocr":
            options = replace(options, ocr="force")
        factor = HEAVY_FACTOR if file.is_heavy else 1
        with tracing.span("read", kind=file.kind):
            return self._host.run(
                processor=registry.processor_path_for(operation, file.kind),
                source=source,
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
                members_to=self._folder() if members.is_opened(file) else None,
                searchable_to=self._folder("searchable") if settings.SEARCHABLE_PDF else None,
            )

    def _stored(self, file: BatchFile, extraction: Extraction) -> StoredExtraction:
        """The extraction and what was found in it, waiting for `settled`. Raises StorageFull."""
        if extraction.members and not members.is_opened(file):
            return self._store(members.without_members(extraction))
        if extraction.members or extraction.artifacts:
            storage.check_room(0)
        return self._store(extraction, members.receive(file.job.operation, extraction.members))

    def _failure(
        self, file: BatchFile, error: processing.ProcessingError, password: str
    ) -> Failure:
        """`error` in the queue's terms; pages that were finished before are kept. What a parser
        says of its trouble is stored and logged: without the password. Raises StorageUnavailable.
        """
        usage = error.usage or processing.Usage()
        partial = getattr(error, "partial", None)
        kept = extractions.bring(file, self._store(partial)) if partial is not None else None
        return Failure(
            FAILURE_CLASSES.get(type(error), FailureClass.TRANSIENT),
            error.code,
            without(password, error.detail),
            traceback=without(
                password, getattr(error, "traceback", "") or getattr(error, "stderr", "")
            ),
            retry_after=getattr(error, "retry_after", None),
            output=kept,
            usage=Usage(usage.peak_rss_bytes, usage.cpu_seconds),
        )

    def _store(self, extraction: Extraction, found: Sequence[Received] = ()) -> StoredExtraction:
        """Writes the extraction's JSON where `settled` can put it in place."""
        return extractions.write(extraction, self._folder(), found)

    def _folder(self, name: str = "") -> Path:
        """Where what this run brings waits until it is put in place; `name` is a folder in it."""
        if self._waiting is None:
            self._waiting = storage.new_incoming_folder()
        folder = self._waiting / name
        folder.mkdir(exist_ok=True)
        return folder

    def _forget_waiting(self) -> None:
        """Removes what a fenced run left behind: its result was not put in place."""
        if self._waiting is not None:
            shutil.rmtree(self._waiting, ignore_errors=True)
            self._waiting = None

    @classmethod
    def facts(cls, row: LeasedRow) -> dict[str, str]:
        return {"file_id": str(row.pk), "job_id": str(cast(BatchFile, row).job_id)}

    @classmethod
    def measured(cls, row: LeasedRow, output: Output | None) -> dict[str, str | int]:
        job = row._state.fields_cache.get("job")  # not asked for where the run came to nothing
        told = {"operation": job.operation, "kind": cast(BatchFile, row).kind} if job else {}
        if output is None:
            return told
        read: Extraction = output.value.extraction
        return {**told, "pages": read.page_count, "engine": read.engine}

    @classmethod
    def claimed(cls, row: LeasedRow) -> None:
        mark_started(cast(BatchFile, row).job_id)

    @classmethod
    def progressed(cls, row: LeasedRow) -> None:
        job_id = cast(BatchFile, row).job_id
        BatchJob.objects.filter(pk=job_id).update(revision=F("revision") + 1)
        tell_on_commit(job_id)

    @classmethod
    def settled(cls, row: LeasedRow, output: Output | None) -> None:
        file = cast(BatchFile, row)
        if output is not None and not (file.state != State.SUCCEEDED and _was_read(file)):
            _put_in_place(file, output.value)
        state = count_end(file.job_id, file.state)
        publish_file_end(file)
        goes_on = file.state in READY and not _held_if_paused(file, state)
        if file.work_key and not goes_on:
            following.follow_up_on_commit(file.pk)

    @classmethod
    def repair(cls) -> None:
        """Recounts and closes open jobs that have no unfinished file left."""
        unfinished = BatchFile.objects.unfinished().filter(job=OuterRef("pk"))
        stuck = BatchJob.objects.open().filter(~Exists(unfinished))
        for job_id in stuck.values_list("pk", flat=True)[:REPAIR_BATCH]:
            recount(job_id)
        following.repair()


def _was_read(file: BatchFile) -> bool:
    """Whether the file has the whole result of an earlier run, which what a failed one saved must
    not take the place of."""
    before = FileResult.objects.filter(file=file, run__lt=file.run).values("run")
    badly = FileAttempt.objects.filter(
        row=file, run__in=before, outcome__in=FINISHED - {State.SUCCEEDED}
    )
    return before.exists() and not badly.exists()


def _held_if_paused(file: BatchFile, state: JobState) -> bool:
    """A file that is to run again waits as the rest of its job does; one that may spend no more
    pauses the job. Whether it is held now. The job's row is locked."""
    if file.error_class == FailureClass.BUDGET:
        pause_by_system(file.job_id, file.error_detail)
        state = JobState.PAUSED
    if state == JobState.PAUSED:
        BatchFile.objects.filter(pk=file.pk).update(is_held=True)
    return state == JobState.PAUSED


def _options(job: BatchJob) -> Options:
    """What was asked for, OCR_LANGUAGES where no languages were."""
    try:
        options = options_of(job)
    except Unsealable as error:
        raise processing.BadDocument(
            "document.password_lost",
            "The password cannot be opened any more: the server's secret key has changed. "
            "Submit the file again.",
        ) from error
    return (
        options if options.languages else replace(options, languages=tuple(settings.OCR_LANGUAGES))
    )


def _no_room(full: StorageFull | StorageUnavailable) -> Failure:
    return Failure(FailureClass.INFRA, "queue.storage", full.detail, retry_after=full.retry_after)


def _put_in_place(file: BatchFile, stored: StoredExtraction) -> None:
    """Stores the result, and makes files of what was found in `file`, in this transaction."""
    folder = stored.content.path.parent
    if stored.found:
        taken = members.add(file, stored.found)
        if taken < len(stored.found):
            stored = extractions.cut(stored, taken, members.too_many(len(stored.found) - taken))
    extractions.keep(file, stored)
    if stored.is_checkpointed:
        checkpoints.forget(file)
    transaction.on_commit(lambda: shutil.rmtree(folder, ignore_errors=True), robust=True)
