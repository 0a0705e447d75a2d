"""How states, moments, spans of time and amounts are put into words: pure."""

from datetime import UTC, datetime

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
WEBHOOK_WORDS: dict[str, tuple[str, str]] = {
    "pending": ("Waiting", "clock"),
    "delivered": ("Delivered", "check"),
    "failed": STATE_WORDS["failed"],
    "enabled": ("Enabled", "check"),
    "disabled": ("Disabled", "stop"),
}
"""Every state of a webhook and its messages."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def exactly(when: datetime) -> str:
    """`29 Nov 2026, 14:19:36 UTC`. Django's own format of it is five times as dear, and a list has
    many."""
    at = when.astimezone(UTC)
    return f"{at.day} {MONTHS[at.month - 1]} {at.year}, {at:%H:%M:%S} UTC"


OPERATIONS = {
    "extract": ("Read text", "Takes the text as it is; scans and pictures go through OCR."),
    "ocr": ("OCR", "Looks at every page: for PDFs that are scans, and for pictures."),
}
"""Operations: as people read them, and what they are for."""


def operation(name: str) -> str:
    return OPERATIONS.get(name, (name.capitalize(), ""))[0]


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


def told(value: object) -> str:
    """What a program wrote down, for people: nothing is `none`, a list its parts."""
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(told, value))
    return str(value)


def joined(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def outcome(counts: dict[str, int]) -> str:
    """A job's files by state in a sentence's words: `9 succeeded, 1 failed`, leaving out zeros.
    Those that were read before are some of the succeeded."""
    told = [
        f"{counts[state]} of them read before"
        if state == "duplicate"
        else f"{counts[state]} {STATE_WORDS[state][0].lower()}"
        for state in STATE_WORDS
        if counts.get(state)
    ]
    return ", ".join(told) or "no files"


def files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count or 'no'} jobs"


def exports(count: int) -> str:
    return "1 export" if count == 1 else f"{count} exports"


BROWSERS = ("Edg", "OPR", "Firefox", "Chrome", "Safari", "curl")
"""As they call themselves; those that also name another come before it."""
SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Mac OS X", "CrOS", "Linux")
PLAIN = {"Edg": "Edge", "OPR": "Opera", "Mac OS X": "macOS", "CrOS": "ChromeOS"}


def browser_named(agent: str) -> str:
    """A browser by what it calls itself, for people: `Firefox on Linux`."""
    browser = next((each for each in BROWSERS if f"{each}/" in agent), "")
    system = next((each for each in SYSTEMS if each in agent), "")
    named = PLAIN.get(browser, browser) or "Another browser"
    return f"{named} on {PLAIN.get(system, system)}" if system else named
