"""What somebody asks to have made or changed, read from plain fields: for every form of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from apps.accounts.roles import Role
from apps.core.errors import FieldError, InvalidInput
from apps.core.filters import is_storable


def fields_of(body: object, *known: str) -> Mapping[str, Any]:
    """The fields of a body, of which only `known` are allowed. Raises InvalidInput."""
    if not isinstance(body, Mapping):
        raise InvalidInput("The body must be a JSON object.")
    if unknown := sorted(set(body) - set(known)):
        errors = [FieldError(name, "unknown", "There is no such field.") for name in unknown]
        raise InvalidInput(f"Unknown fields: {', '.join(unknown)}.", errors=errors)
    return body


def read_text(fields: Mapping[str, Any], name: str) -> str:
    """Raises InvalidInput when it is missing, or no string."""
    text = fields.get(name)
    if text is None:
        raise invalid(name, f"{name} is required.", "required")
    if not isinstance(text, str):
        raise invalid(name, f"{name} must be a string.")
    return text


def read_role(fields: Mapping[str, Any], *, optional: bool = False) -> Role | None:
    """The field `role`; None where it may be left out and is. Raises InvalidInput."""
    if optional and fields.get("role") is None:
        return None
    text = read_text(fields, "role")
    try:
        return Role(text)
    except ValueError:
        raise invalid("role", f"role must be one of {', '.join(Role)}.") from None


def read_moment(fields: Mapping[str, Any], name: str) -> datetime | None:
    """A moment with its zone in ISO 8601; None when it is left out. Raises InvalidInput."""
    if fields.get(name) is None:
        return None
    try:
        moment = parse_datetime(read_text(fields, name))
    except ValueError:
        moment = None
    if moment is None or not is_storable(moment):
        raise invalid(name, f"{name} must be a moment such as 2030-01-31T09:00:00Z.")
    return moment


def invalid(field: str, detail: str, code: str = "invalid") -> InvalidInput:
    return InvalidInput(detail, errors=[FieldError(field, code, detail)])
