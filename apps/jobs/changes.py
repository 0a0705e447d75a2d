"""What somebody asks to have changed, read from plain fields: for every form of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import QueryDict

from apps.accounts.names import one_line
from apps.core.errors import FieldError, InvalidInput
from apps.jobs.formats import FORMATS, Format
from apps.jobs.submission import read_priority
from apps.queue.models import Priority

MAX_REASON = 200
MAX_EXPORTED = 50
"""Jobs in one export."""
WRITTEN_BOOLEANS = {"true": True, "false": False}
"""As forms, which know no other values than text, write them."""


@dataclass(frozen=True)
class Change:
    """What to set of a job or a file; None leaves it as it is."""

    priority: Priority | None = None
    kept: bool | None = None


def read_change(fields: object, *, known: frozenset[str], is_form: bool = False) -> Change:
    """The change in `fields`, of which `known` are allowed. Raises InvalidInput, also when there
    is nothing to change."""
    given = _only(fields, known)
    if not given:
        raise InvalidInput(f"Give what to change: {', '.join(sorted(known))}.")
    priority, kept = given.get("priority"), given.get("kept")
    if is_form and isinstance(kept, str):
        kept = WRITTEN_BOOLEANS.get(kept, kept)
    if "kept" in given and not isinstance(kept, bool):
        raise _invalid("kept", "kept must be true or false.")
    if "priority" in given and not isinstance(priority, str):
        raise _invalid("priority", "priority must be a string.")
    return Change(read_priority(priority) if priority is not None else None, kept)


def read_reason(fields: object) -> str:
    """The field `reason`, the only one that there may be; "" without it. Raises InvalidInput."""
    reason = _only(fields, frozenset({"reason"})).get("reason", "")
    if not isinstance(reason, str):
        raise _invalid("reason", "reason must be a string.")
    return clean_reason(reason)


def clean_reason(text: str) -> str:
    """`text` as one line of at most 200 characters. Raises InvalidInput for a longer one."""
    reason = one_line(text)
    if len(reason) > MAX_REASON:
        detail = f"reason takes at most {MAX_REASON} characters."
        raise InvalidInput(detail, errors=[FieldError("reason", "too_long", detail)])
    return reason


def _only(fields: object, known: frozenset[str]) -> Mapping[str, Any]:
    if not isinstance(fields, Mapping):
        raise InvalidInput("The body must be a JSON object.")
    if unknown := sorted(set(fields) - known):
        errors = [FieldError(name, "unknown", "There is no such field.") for name in unknown]
        raise InvalidInput(f"Unknown fields: {', '.join(unknown)}.", errors=errors)
    return fields


def _invalid(field: str, detail: str) -> InvalidInput:
    return InvalidInput(detail, errors=[FieldError(field, "invalid", detail)])


def read_export(fields: object) -> tuple[Format, list[UUID]]:
    """The format and the ids of the jobs to export, from `format` and `jobs`. Raises InvalidInput.

    Of a form, which has one value of a name or many, `jobs` may be one.
    """
    given = _only(fields, frozenset({"format", "jobs"}))
    made = FORMATS.get(str(given.get("format", "")))
    if made is None:
        raise _invalid("format", f"format must be one of: {', '.join(FORMATS)}.")
    listed = given.getlist("jobs") if isinstance(given, QueryDict) else given.get("jobs")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_EXPORTED:
        raise _invalid("jobs", f"jobs must be a list of 1 to {MAX_EXPORTED} ids of jobs.")
    try:
        ids = [UUID(str(each)) for each in listed]
    except ValueError:
        raise _invalid("jobs", "jobs must be ids of jobs.") from None
    return made, list(dict.fromkeys(ids))
