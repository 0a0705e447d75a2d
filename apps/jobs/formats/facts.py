"""What is known of a file, as a row of a table and as a JSON object."""

from collections.abc import Mapping
from typing import Any

from apps.jobs.contents import Entry

COLUMNS = (
    "job_id",
    "position",
    "id",
    "parent_id",
    "name",
    "kind",
    "size_bytes",
    "sha256",
    "state",
    "pages",
    "words",
    "language",
    "quality",
    "warnings",
    "error_code",
    "error_class",
    "error_detail",
    "advice",
)


def line_of(entry: Entry) -> dict[str, Any]:
    """Who the file is and how it ended, as JSON tells it."""
    file = entry.file
    return {
        "id": str(file.id),
        "job_id": str(file.job_id),
        "parent_id": str(file.parent_id) if file.parent_id else None,
        "position": file.position,
        "name": file.name,
        "sha256": file.sha256,
        "state": file.state,
        "error": entry.error,
    }


def row_of(entry: Entry) -> dict[str, str | int | None]:
    """A value for each of `COLUMNS`; None for what is not known."""
    file, result, error = entry.file, entry.result, entry.error or {}
    row: Mapping[str, Any] = {
        "job_id": str(file.job_id),
        "position": file.position,
        "id": str(file.id),
        "parent_id": str(file.parent_id) if file.parent_id else None,
        "name": file.name,
        "kind": file.kind,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "state": file.state,
        "pages": result.pages if result else None,
        "words": result.words if result else None,
        "language": result.language if result else None,
        "quality": result.quality if result else None,
        "warnings": "\n".join(result.warnings) if result else None,
        "error_code": error.get("code"),
        "error_class": error.get("class"),
        "error_detail": error.get("detail"),
        "advice": error.get("advice"),
    }
    return dict(row)
