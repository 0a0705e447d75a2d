"""How far a job is and how long it may still take: pure arithmetic."""


def fraction(total: int, finished: int, running_progress: float) -> float:
    """0..1: finished files count whole, the others by the sum of their progress (0..1 each)."""
    if total == 0:
        return 0.0
    return min(1.0, (finished + running_progress) / total)


def eta_seconds(progress: float, elapsed_seconds: float) -> int | None:
    """Seconds to go at the pace so far; None before there is a pace, and at the end."""
    if not 0 < progress < 1 or elapsed_seconds <= 0:
        return None
    return round(elapsed_seconds * (1 - progress) / progress)
