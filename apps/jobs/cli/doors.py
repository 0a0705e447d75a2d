"""What the commands ask of an installation, here or elsewhere, and how it may refuse."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from uuid import UUID

Json = dict[str, Any]

ALL_REJECTED = "batch.all_rejected"


@dataclass(frozen=True)
class Order:
    """A submission's plain fields, as the form of `POST /api/batch/upload` takes them."""

    fields: dict[str, str] = field(default_factory=dict)

    def named(self, name: str) -> "Order":
        return Order(self.fields | {"name": name})


class Refused(Exception):
    """The installation answered, and said no. `problem` is its problem document (RFC 9457)."""

    def __init__(self, problem: Json) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or "It was refused."))
        self.problem = problem

    @property
    def is_about_files(self) -> bool:
        """Whether only these files were refused: others may well be taken."""
        return self.problem.get("code") == ALL_REJECTED

    @property
    def reasons(self) -> list[str]:
        """Which fields or files were refused and why, as far as the text does not say."""
        listed = [
            (str(each.get("field", "")), str(each.get("code", "")), str(each.get("detail", "")))
            for each in self.problem.get("errors") or []
        ]
        return [
            f"{field}: {code}: {detail}"
            for field, code, detail in listed
            if field not in str(self) or detail not in str(self)
        ]


class Away(Exception):
    """Nobody answers at the moment; the text says why. Asking again later may help.

    `retry_after` is in seconds, where it is known.
    """

    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Door(Protocol):
    """A way into an installation. Every method may raise Refused and Away."""

    address: str
    """Arguments that lead through this door again, for a command line; "" for none."""

    def submit(self, paths: Sequence[Path], order: Order) -> Json:
        """The new job. Raises OSError when a file cannot be read after all."""

    def job(self, job_id: UUID | str) -> Json:
        """The job. Refused when there is none that the caller may see."""

    def files(self, job_id: UUID | str) -> list[Json]:
        """The job's files in the order of submission."""

    def jobs(self, states: Sequence[str], limit: int) -> list[Json]:
        """The newest jobs, of these states if any are given."""

    def act(self, job_id: UUID | str, verb: str, fields: Json) -> Json:
        """The job once `verb` was done to it: an address below the job's in the API, and what is
        sent there; "" changes `fields` of the job itself."""

    def fetch(self, job_id: UUID | str, made: str, sink: BinaryIO) -> None:
        """Writes all results of the job into `sink`, in the format `made`."""

    def has_worker(self, job: Json) -> bool:
        """False when it is certain that nobody works on what `job` waits for."""

    def pause_seconds(self, waited_seconds: float, jobs: int) -> float:
        """How long to wait between two looks at `jobs` jobs."""

    def close(self) -> None: ...
