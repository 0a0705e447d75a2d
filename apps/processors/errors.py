"""How reading a document can fail, and whose side the fault is on.

BadDocument is theirs and permanent, Unavailable may pass, the rest is found by the host: the
child died, ran into a limit, was stopped, or the processor has a bug. Everything has a stable
`code` and a `detail`, a sentence for the person who sent the document.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.processors.protocol import Extraction, clean

MAX_DETAIL = 500
MAX_WAIT_SECONDS = 24 * 3600
MAX_TRACEBACK = 20_000


@dataclass(frozen=True)
class Usage:
    """What one file cost: the highest resident memory while it was read, and CPU time."""

    peak_rss_bytes: int = 0
    cpu_seconds: float = 0.0


class ProcessingError(Exception):
    """Root. `usage` is what the attempt cost, where known."""

    code = "processor.error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = clean(detail)
        self.usage: Usage | None = None

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class BadDocument(ProcessingError):
    """The document cannot be read, and trying again will not help."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Unavailable(ProcessingError):
    """Something the processor needs is away; `retry_after` in seconds, where it is known."""

    def __init__(self, code: str, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.retry_after = retry_after


class ChildCrashed(ProcessingError):
    """The child died by itself. `exit` as subprocess has it: negative is a signal's number."""

    code = "processor.crashed"

    def __init__(self, exit: int, detail: str, stderr: str = "") -> None:  # noqa: A002 (subprocess's word)
        super().__init__(detail)
        self.exit = exit
        self.stderr = stderr


class OutOfResources(ProcessingError):
    """A limit of ours. `code` is processor.memory, .timeout, .stalled or .output.

    `partial` holds the pages that were finished before, if any.
    """

    def __init__(self, code: str, detail: str, partial: Extraction | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.partial = partial


class Stopped(ProcessingError):
    """`should_stop` said so; the child was killed."""

    code = "processor.stopped"


class ProcessorBug(ProcessingError):
    """The processor raised something it should not have, or does not load."""

    def __init__(self, detail: str, traceback: str = "") -> None:
        super().__init__(detail)
        self.traceback = traceback


def to_json(error: ProcessingError) -> dict[str, object]:
    """What the child says of an error it caught: BadDocument, Unavailable, memory, or a bug."""
    shown: dict[str, object] = {
        "type": type(error).__name__,
        "code": error.code,
        "detail": error.detail[:MAX_DETAIL],
    }
    if isinstance(error, Unavailable):
        shown["retry_after"] = error.retry_after
    if isinstance(error, ProcessorBug):
        shown["traceback"] = error.traceback[-MAX_TRACEBACK:]
    return shown


def from_json(raw: Mapping[str, Any]) -> ProcessingError:
    """The inverse of `to_json`. Raises KeyError, TypeError or ValueError on another shape."""
    code, detail = clean(str(raw["code"]))[:100], clean(str(raw["detail"]))[:MAX_DETAIL]
    match raw["type"]:
        case "BadDocument":
            return BadDocument(code, detail)
        case "Unavailable":
            wait = raw.get("retry_after")
            if wait is not None and not 0 <= wait <= MAX_WAIT_SECONDS:
                raise ValueError(wait)
            return Unavailable(code, detail, None if wait is None else float(wait))
        case "OutOfResources":
            return OutOfResources(code, detail)
        case "ProcessorBug":
            return ProcessorBug(detail, str(raw.get("traceback", ""))[-MAX_TRACEBACK:])
    raise ValueError(f"unknown error type {raw['type']!r}")
