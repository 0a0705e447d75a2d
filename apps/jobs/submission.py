"""A submission's plain fields, and what makes two submissions the same: for every form of it."""

import hashlib
import json
from uuid import UUID

from apps.core.errors import FieldError, InvalidInput
from apps.jobs.operations import check_operation, parse_options
from apps.jobs.services import Submission
from apps.jobs.upload import Received
from apps.processors.kinds import has_visible
from apps.queue.models import PRIORITIES, Priority

FIELDS = frozenset({"operation", "priority", "name", "options"})
UPLOADS = "upload_ids"
MAX_KEY = 255
MAX_JOB_NAME = 200
JOINERS = "\u200c\u200d"
"""Unseen, but how some scripts and emoji are spelled."""


def read_submission(fields: dict[str, str]) -> Submission:
    """The submission in a form's plain fields. Raises InvalidInput or OperationUnavailable."""
    if unknown := sorted(set(fields) - FIELDS):
        errors = [FieldError(name, "unknown", "There is no such field.") for name in unknown]
        raise InvalidInput(f"Unknown fields: {', '.join(unknown)}.", errors=errors)
    return Submission(
        operation=check_operation(fields.get("operation", "extract")),
        options=parse_options(_decoded(fields.get("options", "{}"))),
        priority=read_priority(fields.get("priority", "normal")),
        name=_job_name(fields.get("name", "")),
    )


def _decoded(options: str) -> object:
    try:
        decoded: object = json.loads(options)
    except (ValueError, RecursionError) as error:
        detail = "options must be a JSON object."
        raise InvalidInput(detail, errors=[FieldError("options", "invalid", detail)]) from error
    return decoded


def read_priority(given: str) -> Priority:
    """The priority of that name. Raises InvalidInput."""
    if given not in PRIORITIES:
        detail = f"priority must be one of {', '.join(PRIORITIES)}."
        raise InvalidInput(detail, errors=[FieldError("priority", "unknown", detail)])
    return Priority(PRIORITIES[given])


def _job_name(given: str) -> str:
    """What is left of `given` once nothing unseen is in it; empty where nothing can be seen."""
    name = "".join(c for c in given if c.isprintable() or c in JOINERS).strip(f" {JOINERS}")
    if len(name) > MAX_JOB_NAME:
        detail = f"name takes at most {MAX_JOB_NAME} characters."
        raise InvalidInput(detail, errors=[FieldError("name", "too_long", detail)])
    return name if has_visible(name) else ""


def check_key(key: str) -> str:
    """`key` if it can be an Idempotency-Key. Raises InvalidInput."""
    if not (0 < len(key) <= MAX_KEY and key.isprintable()):
        detail = f"Idempotency-Key takes 1 to {MAX_KEY} printable characters."
        raise InvalidInput(detail, errors=[FieldError("Idempotency-Key", "invalid", detail)])
    return key


def fingerprint(submission: Submission, files: list[Received]) -> str:
    """A SHA-256 over everything that makes two submissions the same request. What came in parts is
    told by its id: its bytes may have become the first one's job by now."""
    parts = [
        submission.operation,
        submission.options.to_json(),
        submission.priority,
        submission.name,
        [_told(each) for each in files],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _told(file: Received) -> list[str | int]:
    return [str(file.upload_id)] if file.upload_id else [file.name, file.size_bytes, file.sha256]


def read_upload_ids(given: str) -> list[UUID]:
    """The ids of uploads in parts, in their order. Raises InvalidInput."""
    try:
        ids = [UUID(each.strip()) for each in given.split(",") if each.strip()]
    except ValueError as error:
        detail = "upload_ids are ids of uploads with commas between them."
        raise InvalidInput(detail, errors=[FieldError(UPLOADS, "invalid", detail)]) from error
    if len(set(ids)) < len(ids):
        detail = "An upload can be submitted once."
        raise InvalidInput(detail, errors=[FieldError(UPLOADS, "repeated", detail)])
    return ids
