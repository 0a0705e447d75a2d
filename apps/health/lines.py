"""What `manage.py doctor` prints."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """`status` is ok, off (optional, not there), weak (works, could be better) or broken."""

    name: str
    status: str
    detail: str
