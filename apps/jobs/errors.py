"""What can go wrong with a batch, as its caller is told."""

from http import HTTPStatus

from apps.core.errors import DocmillError, InvalidInput


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
