"""One document in a child's hands, from the order to the answer, with all limits of time."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from apps.processors import errors, wire
from apps.processors.errors import (
    ChildCrashed,
    OutOfResources,
    ProcessingError,
    Stopped,
    Usage,
)
from apps.processors.postmortem import cause
from apps.processors.protocol import Extraction, Page, clean
from apps.processors.spawn import Child, Gone

TICK_SECONDS = 0.05
SECONDS_BETWEEN_PROGRESS = 0.2
SECONDS_TO_DIE = 2.0
MAX_RESULT_BYTES = 64 * 1024 * 1024
PAGE_BYTES = 200
"""What a page costs to keep that has no text: there may be any number of them."""

Progress = Callable[[int, int, str], None]
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)
MOST = 2**53
"""No number of ours is higher: bytes, seconds, pages."""


@dataclass(frozen=True)
class Budget:
    """Limits for one document. `silence_seconds` is the longest time without a report."""

    seconds: float
    silence_seconds: float
    memory_bytes: int


@dataclass(frozen=True)
class Outcome:
    extraction: Extraction
    peak_rss_bytes: int
    cpu_seconds: float


@dataclass
class Reading:
    """One document in the child's hands."""

    child: Child
    kind: str
    engine: str
    budget: Budget
    on_progress: Progress
    should_stop: Callable[[], bool]
    usage: Mapping[str, float] = field(default_factory=dict)
    pages: list[Page] = field(default_factory=list)
    page_bytes: int = 0
    _progress: tuple[int, int, str] | None = None
    _told_at: float = 0.0

    def finish(self, order: Mapping[str, object]) -> Outcome:
        started = heard = time.monotonic()
        try:
            self.child.send(order)
            while True:
                self._check(started, heard)
                for message in self.child.receive(TICK_SECONDS):
                    heard = time.monotonic()
                    outcome = self._understood(message)
                    if outcome:
                        self._tell(now=True)
                        return outcome
                self._tell()
                self.child.look()
        except Gone:
            raise self._autopsy() from None
        except wire.TooLarge:
            raise self.ended(_too_much(self._partial())) from None
        except wire.Garbled as error:
            raise self.ended(nonsense()) from error

    def _check(self, started: float, heard: float) -> None:
        """Raise when it is time to end."""
        now = time.monotonic()
        if self.should_stop():
            raise self.ended(Stopped("Reading was stopped."))
        if now - started > self.budget.seconds:
            detail = f"Reading the file took longer than {_span(self.budget.seconds)}."
            raise self.ended(OutOfResources("processor.timeout", detail, self._partial()))
        if now - heard > self.budget.silence_seconds:
            detail = f"Reading the file got nowhere for {_span(self.budget.silence_seconds)}."
            raise self.ended(OutOfResources("processor.stalled", detail, self._partial()))

    def _understood(self, message: Mapping[str, Any]) -> Outcome | None:
        """The outcome, when this is the answer. Raises wire.Garbled, and the error it tells of."""
        try:
            if "progress" not in message:
                return self._concluded(message)
            self._take(message)
        except MALFORMED as error:
            raise wire.Garbled from error
        return None

    def _take(self, message: Mapping[str, Any]) -> None:
        done, total, note = message["progress"]
        self._progress = _counted(done), _counted(total), clean(str(note))[:200]
        if "page" in message:
            page = Page.from_json(message["page"])
            self._keep([page])
            _ = page.words  # counted now, while the child reads on

    def _keep(self, pages: Iterable[Page]) -> None:
        for page in pages:
            self.page_bytes += _weight(page)
            if self.page_bytes > MAX_RESULT_BYTES:
                raise wire.TooLarge
            self.pages.append(page)

    def _tell(self, *, now: bool = False) -> None:
        """Pass on the last progress, now and then: there may be hundreds of pages a second."""
        moment = time.monotonic()
        if self._progress and (now or moment - self._told_at > SECONDS_BETWEEN_PROGRESS):
            self.on_progress(*self._progress)
            self._progress, self._told_at = None, moment

    def _concluded(self, message: Mapping[str, Any]) -> Outcome:
        self.usage = numbers(message["usage"])
        usage = Usage(int(self.usage["peak_rss_bytes"]), self.usage["cpu_seconds"])
        if "done" in message:
            extraction = self._whole(Extraction.from_json(message["done"]), message["sent"])
            return Outcome(extraction, usage.peak_rss_bytes, usage.cpu_seconds)
        error = errors.from_json(message["failed"])
        if isinstance(error, OutOfResources):
            error = _out_of(error.code, self._partial())
        error.usage = usage
        raise error

    def _whole(self, rest: Extraction, sent: int) -> Extraction:
        """`rest` with the first `sent` of the pages that came before it in front."""
        if not 0 <= sent <= len(self.pages):
            raise ValueError(sent)
        before = self.pages[:sent]
        self._keep(rest.pages)
        return replace(rest, pages=(*before, *rest.pages))

    def _partial(self) -> Extraction | None:
        if not self.pages:
            return None
        last = self.pages[-1].number
        return Extraction(
            pages=tuple(self.pages),
            kind=self.kind,
            engine=self.engine,
            warnings=(f"Reading ended early, after page {last}.",),
            quality="partial",
        )

    def _autopsy(self) -> ProcessingError:
        """The child closed its end: what to report."""
        self.child.wait(SECONDS_TO_DIE)
        self.child.kill()
        error = cause(self.child.death())
        if isinstance(error, OutOfResources):
            error.partial = self._partial()
        error.usage = self.child.usage()
        return error

    def ended(self, error: ProcessingError) -> ProcessingError:
        """`error`, after ending the child ourselves."""
        self.child.kill(gently=not isinstance(error, Stopped))
        error.usage = self.child.usage()
        return error


def _out_of(code: str, partial: Extraction | None) -> OutOfResources:
    if code == "processor.output":
        return _too_much(partial)
    return OutOfResources(code, "Reading the file needs more memory than allowed.", partial)


def _too_much(partial: Extraction | None) -> OutOfResources:
    megabytes = MAX_RESULT_BYTES // 1024**2
    detail = f"The file holds more text than the {megabytes} MB that are kept of one file."
    return OutOfResources("processor.output", detail, partial)


def _weight(page: Page) -> int:
    """Bytes of text; of its tables instead if they hold more, which stand in the text too."""
    cells = sum(len(cell) for table in page.tables for row in table for cell in row)
    return PAGE_BYTES + max(len(page.text.encode()), cells)


def nonsense() -> ChildCrashed:
    """The child is not what it was."""
    return ChildCrashed(0, "The program that reads the file sent something that makes no sense.")


def _counted(raw: Any) -> int:
    return min(max(int(raw), 0), MOST)


def numbers(raw: Mapping[str, Any]) -> dict[str, float]:
    """Raises ValueError for what is negative, beyond measure or no number."""
    found = {str(key): float(value) for key, value in raw.items()}
    if not all(0 <= value <= MOST for value in found.values()):
        raise ValueError(raw)
    return found


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:g} seconds"
