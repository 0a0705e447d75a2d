"""What can go wrong with a batch, as its caller is told."""

from http import HTTPStatus
from typing import Any

from django.conf import settings

from apps.core.errors import DocmillError, InvalidInput, Unavailable

OFF_RETRY_SECONDS = 300


class BatchesOff(DocmillError):
    """ENABLE_BATCH is off: nothing is taken in, and what is queued waits."""

    code = "batch.off"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "No files are taken at the moment"

    def __init__(self) -> None:
        super().__init__(
            "Whoever runs this installation has switched batches off. What was submitted is kept "
            "and goes on once they are on again; results can be read meanwhile.",
            retry_after=OFF_RETRY_SECONDS,
        )


def require_batches() -> None:
    """Raises BatchesOff."""
    if not settings.ENABLE_BATCH:
        raise BatchesOff


class TooManyFiles(DocmillError):
    code = "batch.too_many_files"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "Too many files in one batch"


class BatchTooLarge(DocmillError):
    code = "batch.too_large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "The batch is too large"


class NoFiles(InvalidInput):
    code = "batch.empty"
    title = "There is no file in the batch"


class AllRejected(DocmillError):
    code = "batch.all_rejected"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "None of the files can be processed"


class OperationUnavailable(DocmillError):
    code = "operation.unavailable"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "This operation is not available"


class StorageFull(DocmillError):
    code = "storage.full"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "There is no room to store more files"


class StorageUnavailable(Unavailable, OSError):
    """An OSError as well, for whoever stores or reads bytes deals with those of a disk."""

    code = "storage.unavailable"
    title = "The storage cannot be reached"


class LengthRequired(DocmillError):
    code = "request.length_required"
    status = HTTPStatus.LENGTH_REQUIRED
    title = "The request must say how long it is"


class IncompleteUpload(InvalidInput):
    code = "request.incomplete"
    title = "The upload ended before it was complete"


class MalformedUpload(InvalidInput):
    code = "request.malformed"
    title = "The upload cannot be read"


class NotMultipart(DocmillError):
    code = "request.unsupported_media_type"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    title = "Files are submitted as multipart/form-data"


class IdempotencyMismatch(DocmillError):
    code = "idempotency.mismatch"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "This Idempotency-Key was used with another request"


class IdempotencyInProgress(DocmillError):
    code = "idempotency.in_progress"
    status = HTTPStatus.CONFLICT
    title = "A request with this Idempotency-Key is still under way"


class JobUnfinished(DocmillError):
    code = "job.unfinished"
    status = HTTPStatus.CONFLICT
    title = "The job is not finished"


class JobFinished(DocmillError):
    code = "job.finished"
    status = HTTPStatus.CONFLICT
    title = "The job is finished already"


class FileRunning(DocmillError):
    code = "file.running"
    status = HTTPStatus.CONFLICT
    title = "The file is running"


class NothingToRetry(DocmillError):
    code = "job.nothing_to_retry"
    status = HTTPStatus.CONFLICT
    title = "No file of this job can be retried"


class NothingToDiscard(DocmillError):
    code = "job.nothing_to_discard"
    status = HTTPStatus.CONFLICT
    title = "No file of this job failed"


class NoResult(DocmillError):
    code = "file.no_result"
    status = HTTPStatus.CONFLICT
    title = "This file has no result"


class NothingMatches(DocmillError):
    code = "bulk.nothing_matches"
    status = HTTPStatus.CONFLICT
    title = "Nothing matches the filter"


class MoreMatch(DocmillError):
    code = "bulk.more_match"
    status = HTTPStatus.CONFLICT
    title = "More match the filter than were shown"


class NotStreamed(DocmillError):
    code = "live.not_streamed"
    status = HTTPStatus.NOT_IMPLEMENTED
    title = "No events are sent here"


class TooManyStreams(DocmillError):
    code = "live.too_many"
    status = HTTPStatus.TOO_MANY_REQUESTS
    title = "Too many event streams are open"
    wait_seconds = 30

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"You have {limit} open already. Close one first.", retry_after=self.wait_seconds
        )

    def members(self) -> dict[str, Any]:
        """As any other answer 429 has."""
        return {
            "limiter": "streams",
            "limit": self.limit,
            "remaining": 0,
            "retry_after": self.wait_seconds,
        }


class TooLargeToWait(DocmillError):
    code = "export.too_large"
    status = HTTPStatus.CONFLICT
    title = "This is too large to be made while somebody waits"


class ExportNotReady(DocmillError):
    code = "export.not_ready"
    status = HTTPStatus.CONFLICT
    title = "This export is not built"


class ExportExpired(DocmillError):
    code = "export.expired"
    status = HTTPStatus.GONE
    title = "This export has expired"


class TooManyExports(DocmillError):
    code = "export.too_many"
    status = HTTPStatus.CONFLICT
    title = "Too much is built or waits to be"


class NoSuchVersion(DocmillError):
    code = "upload.version"
    status = HTTPStatus.PRECONDITION_FAILED
    title = "This version of the tus protocol is not spoken here"


class UploadTooLarge(DocmillError):
    code = "upload.too_large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "The upload is longer than it may be"


class TooManyUploads(DocmillError):
    code = "upload.too_many"
    status = HTTPStatus.CONFLICT
    title = "Too many uploads wait to be submitted"


class WrongOffset(DocmillError):
    """`offset_bytes` is where the upload goes on."""

    code = "upload.offset"
    status = HTTPStatus.CONFLICT
    title = "The upload goes on elsewhere"

    def __init__(self, offset_bytes: int) -> None:
        super().__init__(f"{offset_bytes} bytes are stored: go on from there.")
        self.offset_bytes = offset_bytes

    def members(self) -> dict[str, Any]:
        return {"offset": self.offset_bytes}


class UploadUnfinished(DocmillError):
    code = "upload.unfinished"
    status = HTTPStatus.CONFLICT
    title = "An upload is not complete"


class UploadGone(DocmillError):
    code = "upload.gone"
    status = HTTPStatus.CONFLICT
    title = "An upload is not there any more"
