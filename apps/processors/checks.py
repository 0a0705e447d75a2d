"""System checks: every entry of PROCESSORS exists and looks like a processor."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.utils.module_loading import import_string

from apps.processors.kinds import KINDS


@register("processors")
def processors_are_usable(**_: object) -> list[CheckMessage]:
    """processors.E001 does not import, E002 lacks a part, E003 names an unknown kind."""
    return [problem for path in settings.PROCESSORS for problem in _problems(path)]


def _problems(path: str) -> list[CheckMessage]:
    try:
        processor = import_string(path)
    except ImportError as error:
        return [Error(f"PROCESSORS: {path} does not import: {error}", id="processors.E001")]
    missing = [part for part, wanted in SHAPE.items() if not _has(processor, part, wanted)]
    if missing:
        parts = ", ".join(missing)
        hint = "docs/processors.md shows a whole one."
        return [Error(f"PROCESSORS: {path} lacks {parts}.", hint=hint, id="processors.E002")]
    if unknown := sorted(processor.accepts - set(KINDS)):
        kinds = ", ".join(unknown)
        return [Error(f"PROCESSORS: {path} accepts unknown {kinds}.", id="processors.E003")]
    return []


SHAPE: dict[str, Any] = {
    "name": str,
    "version": str,
    "operations": frozenset,
    "accepts": frozenset,
    "run": None,
}


def _has(processor: object, part: str, wanted: type | None) -> bool:
    value = getattr(processor, part, None)
    return callable(value) if wanted is None else isinstance(value, wanted)
