"""What an app gives the engine to have its rows worked on."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.module_loading import import_string

from apps.queue.models import Attempt, LeasedRow
from apps.queue.retry import Failure, Usage


class RunFailed(Exception):
    """Raised by `Handler.run` when the run ended without a result."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


class RunStopped(Exception):
    """Raised by `Handler.run` when it stopped because `Control.should_stop` said so."""


@dataclass(frozen=True)
class Output:
    """What a run made: a value that only the handler understands, and what it cost."""

    value: Any
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Control:
    """A run's line to the engine.

    `report(stage, fraction)` tells how far it is (0..1); cheap, may be called often.
    `should_stop()` turns true when the row was cancelled, its lease lost, or the worker must go.
    """

    report: Callable[[str, float], None]
    should_stop: Callable[[], bool]


class Handler(ABC):
    """Works on the rows of one model. One instance per slot; never shared between threads."""

    model: type[LeasedRow]
    attempt_model: type[Attempt]
    is_pausable = True
    """Whether pauses hold its rows back; what lifts a pause must run while there is one."""

    @classmethod
    def is_on(cls) -> bool:
        """Whether its rows are worked on. While they are not, they wait where they are."""
        return True

    @abstractmethod
    def run(self, row: LeasedRow, control: Control) -> Output:
        """Does the work, outside any transaction. Raises RunFailed or RunStopped."""

    @classmethod
    def facts(cls, row: LeasedRow) -> dict[str, str]:
        """What every line, error and span of the run tells of `row`: ids, none of its content."""
        return {"row_id": str(row.pk)}

    @classmethod
    def measured(
        cls,
        row: LeasedRow,  # noqa: ARG003  for subclasses
        output: Output | None,  # noqa: ARG003
    ) -> dict[str, str | int]:
        """What the line of a run tells besides, which made `output`, or failed."""
        return {}

    @classmethod
    def claimed(cls, row: LeasedRow) -> None:
        """Called in the transaction that claimed `row`."""

    @classmethod
    def progressed(cls, row: LeasedRow) -> None:
        """Called in the transaction that wrote the row's new stage and progress."""

    @classmethod
    @abstractmethod
    def settled(cls, row: LeasedRow, output: Output | None) -> None:
        """Called in the transaction that moved `row` out of running; `row.state` is the new one.

        `output` is the run's result, or what was saved of it when it failed.
        """

    @classmethod
    def repair(cls) -> None:
        """Called by the sweep: close what should be closed. Safe to run twice at once."""

    def close(self) -> None:
        """Frees what the slot holds for this handler."""


@lru_cache
def handler_classes() -> tuple[type[Handler], ...]:
    """The classes that `settings.QUEUE_HANDLERS` names, in its order."""
    return tuple(import_string(path) for path in settings.QUEUE_HANDLERS)


@receiver(setting_changed)
def _forget(*, setting: str, **_: object) -> None:
    if setting == "QUEUE_HANDLERS":
        handler_classes.cache_clear()
