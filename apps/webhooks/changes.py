"""What somebody asks to have of an endpoint, read from plain fields: for every form of it."""

from collections.abc import Mapping
from typing import Any

from apps.accounts.names import NAME_MAX_LENGTH, one_line
from apps.core.errors import FieldError, InvalidInput
from apps.core.outgoing import Refused, checked_url
from apps.webhooks.events import EVENTS, USUAL

NEW = frozenset({"url", "events", "name"})
CHANGED = NEW | {"enabled"}


def read_new(fields: object) -> dict[str, Any]:
    """`url`, `events` and `name` of a new endpoint. Raises InvalidInput."""
    read = _read(fields, NEW)
    if "url" not in read:
        raise _invalid("url", "required", "Give the address to which events are sent.")
    return {"events": list(USUAL), "name": "", **read}


def read_change(fields: object) -> dict[str, Any]:
    """What to set: at least one of `url`, `events`, `name`, `enabled`. Raises InvalidInput."""
    read = _read(fields, CHANGED)
    if not read:
        raise InvalidInput(f"Give what to change: {', '.join(sorted(CHANGED))}.")
    return read


def _read(fields: object, known: frozenset[str]) -> dict[str, Any]:
    if not isinstance(fields, Mapping):
        raise InvalidInput("The body must be a JSON object.")
    if unknown := sorted(set(fields) - known):
        errors = [FieldError(str(each), "unknown", "There is no such field.") for each in unknown]
        raise InvalidInput(f"Unknown fields: {', '.join(map(str, unknown))}.", errors=errors)
    return {name: _READERS[name](value) for name, value in fields.items()}


def _url(value: object) -> str:
    if not isinstance(value, str):
        raise _invalid("url", "invalid", "url must be a string.")
    try:
        checked_url(value.strip())
    except Refused as refused:
        raise _invalid("url", "refused", str(refused)) from None
    return value.strip()


def _events(value: object) -> list[str]:
    if not isinstance(value, list) or not value:
        raise _invalid("events", "invalid", "Choose at least one event.")
    if unknown := [str(each) for each in value if str(each) not in EVENTS]:
        told = f"There is no event {unknown[0][:64]}. There are: {', '.join(EVENTS)}."
        raise _invalid("events", "unknown", told)
    return [event for event in EVENTS if event in value]


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise _invalid("name", "invalid", "name must be a string.")
    name = one_line(value)
    if len(name) > NAME_MAX_LENGTH:
        raise _invalid("name", "too_long", f"name takes at most {NAME_MAX_LENGTH} characters.")
    return name


def _enabled(value: object) -> bool:
    if not isinstance(value, bool):
        raise _invalid("enabled", "invalid", "enabled must be true or false.")
    return value


_READERS = {"url": _url, "events": _events, "name": _name, "enabled": _enabled}


def _invalid(field: str, code: str, detail: str) -> InvalidInput:
    return InvalidInput(detail, errors=[FieldError(field, code, detail)])
