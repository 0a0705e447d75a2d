"""What is promised of the rows, what an inspection found to be otherwise, and what to do then."""

from collections.abc import Iterable
from dataclasses import dataclass

OK = "ok"
WEAK = "weak"
BROKEN = "broken"

EXAMPLES = 3


@dataclass(frozen=True)
class Promise:
    """`broken` is the status of a finding against it, `advice` one sentence: what to do."""

    name: str
    broken: str
    advice: str

    def finding(self, count: int, examples: Iterable[object] = (), status: str = "") -> "Finding":
        """That it holds where `count` is 0. `status` is for one that is not always as bad."""
        if not count:
            return Finding(self.name, OK)
        few = tuple(str(each) for each, _ in zip(examples, range(EXAMPLES), strict=False))
        return Finding(self.name, status or self.broken, count, few, self.advice)


@dataclass(frozen=True)
class Finding:
    """How many rows or files are not as they should be, some of them, and what to do."""

    name: str
    status: str
    count: int = 0
    examples: tuple[str, ...] = ()
    advice: str = ""

    @property
    def detail(self) -> str:
        """The same as a line for people."""
        if self.status == OK:
            return "none"
        shown = ", ".join(self.examples)
        more = ", ..." if 0 < len(self.examples) < self.count else ""
        told = f"{self.count} ({shown}{more})" if shown else str(self.count)
        return f"{told}: {self.advice}"


def silence(age_seconds: float | None, *, allowed_seconds: float, is_needed: bool) -> str:
    """The status of something that last showed itself so long ago, or never (None); while nothing
    needs it that is no more than weak."""
    if age_seconds is not None and age_seconds <= allowed_seconds:
        return OK
    return BROKEN if is_needed else WEAK


def skew(before: float, database: float, after: float) -> float:
    """Seconds by which the database's clock is surely ahead of ours, or behind (negative).

    `before` and `after` are our own time around the moment at which the database told its own.
    """
    if before <= database <= after:
        return 0.0
    return database - after if database > after else database - before


def skew_status(seconds: float, *, weak_from: float, broken_from: float) -> str:
    """How bad that is, either way."""
    off = abs(seconds)
    return BROKEN if off >= broken_from else WEAK if off >= weak_from else OK


def is_overdue(age_seconds: float, every_seconds: float, slack_seconds: float) -> bool:
    """Whether recurring work that began so long ago should have begun a second time since."""
    return age_seconds > 2 * every_seconds + slack_seconds
