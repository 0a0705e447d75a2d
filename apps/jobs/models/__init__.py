"""Jobs, their files, every attempt at them, their results, and the bytes all of this rests on."""

from apps.jobs.models.exports import Export, ExportQuerySet
from apps.jobs.models.jobs import (
    CONTAINERS,
    BatchFile,
    BatchFileQuerySet,
    BatchJob,
    BatchJobQuerySet,
    Blob,
    FileAttempt,
    Mark,
    expiry,
)
from apps.jobs.models.keeping import KeptBytes
from apps.jobs.models.notes import BulkTarget, Completion, IdempotencyKey
from apps.jobs.models.results import Checkpoint, FileResult
from apps.jobs.models.uploads import UploadSession

__all__ = [
    "CONTAINERS",
    "BatchFile",
    "BatchFileQuerySet",
    "BatchJob",
    "BatchJobQuerySet",
    "Blob",
    "BulkTarget",
    "Checkpoint",
    "Completion",
    "Export",
    "ExportQuerySet",
    "FileAttempt",
    "FileResult",
    "IdempotencyKey",
    "KeptBytes",
    "Mark",
    "UploadSession",
    "expiry",
]
