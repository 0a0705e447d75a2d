"""How far a job is and how long it may still take: pure arithmetic."""

from dataclasses import dataclass

FAR = 1000
"""Files that stand before a job in line are counted up to this; as many may be more."""


def fraction(total: int, finished: int, running_progress: float) -> float:
    """0..1: finished files count whole, the others by the sum of their progress (0..1 each)."""
    if total == 0:
        return 0.0
    return min(1.0, (finished + running_progress) / total)


def place_words(before: int, files: str) -> str:
    """Where a job stands in line; `files` is what so many are called."""
    return f"{'at least ' if before >= FAR else ''}{files} before it"


@dataclass(frozen=True)
class Work:
    """What a job's run is made of, in files; one that is half read counts half on either side.

    `read` was read in this run, whatever came of it; what was refused at the door or had a result
    at once took no time and is not in it. `left` is still to be read. `seconds` is how long the run
    has lasted without its pauses, `wait_seconds` how long until the last file that waits for its
    next try may start. `is_held`: some of it goes on only when somebody resumes it.
    """

    read: float
    left: float
    seconds: float
    wait_seconds: float = 0.0
    is_held: bool = False


def eta_seconds(work: Work) -> int | None:
    """Whole seconds to go at the pace so far, and never less than the longest wait; None before
    there is a pace, while something is held, and when nothing is left."""
    if work.is_held or work.read <= 0 or work.left <= 0 or work.seconds <= 0:
        return None
    return round(max(work.left * work.seconds / work.read, work.wait_seconds))
