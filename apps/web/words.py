"""How states, spans of time and amounts are put into words: pure."""

STATE_WORDS: dict[str, tuple[str, str]] = {
    "queued": ("Queued", "clock"),
    "running": ("Running", "play"),
    "paused": ("Paused", "pause"),
    "cancelling": ("Cancelling", "stop"),
    "retry_wait": ("Waiting to retry", "retry"),
    "succeeded": ("Succeeded", "check"),
    "duplicate": ("Read before", "copy"),
    "partial": ("Partly failed", "warning"),
    "failed": ("Failed", "cross"),
    "quarantined": ("Quarantined", "shield"),
    "cancelled": ("Cancelled", "stop"),
    "rejected": ("Rejected", "cross"),
}
"""Every state of a job or a file: as people read it, and its symbol."""


def duration(seconds: float | None) -> str:
    """`seconds` in at most two units, such as `2 min 5 s`; empty for None."""
    if seconds is None:
        return ""
    if seconds < 1:
        return "under 1 s"
    whole = round(seconds)
    for size, unit, smaller, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            return _two(whole // size, unit, whole % size // smaller, small)
    return _two(whole // 60, "min", whole % 60, "s") if whole >= 60 else f"{whole} s"


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large} {unit} {small} {small_unit}" if small else f"{large} {unit}"


def ago(seconds: float) -> str:
    """How long ago something was that is `seconds` old; a clock that is ahead says `just now`."""
    if seconds < 45:
        return "just now"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "1 min ago"


def joined(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def outcome(counts: dict[str, int]) -> str:
    """A job's files by state in a sentence's words: `9 succeeded, 1 failed`, leaving out zeros.
    Those that were read before are some of the succeeded."""
    told = [
        f"{counts[state]} {STATE_WORDS[state][0].lower()}"
        for state in STATE_WORDS
        if counts.get(state) and state != "duplicate"
    ]
    if counts.get("duplicate"):
        told.append(f"{counts['duplicate']} of them read before")
    return ", ".join(told) or "no files"


def files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def job_title(name: str, first_file: str, total: int) -> str:
    """What a job is called: its name, or after its files where it was given none."""
    if name:
        return name
    return first_file if total <= 1 else f"{first_file} and {total - 1} more"
