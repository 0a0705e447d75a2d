"""Jobs, their files, every attempt at them, their results, and the bytes all of this rests on."""

from apps.jobs.models.jobs import (
    CONTAINERS,
    BatchFile,
    BatchFileQuerySet,
    BatchJob,
    BatchJobQuerySet,
    Blob,
    Checkpoint,
    FileAttempt,
    FileResult,
    expiry,
)
from apps.jobs.models.notes import BulkTarget, Completion, IdempotencyKey

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
    "FileAttempt",
    "FileResult",
    "IdempotencyKey",
    "expiry",
]
