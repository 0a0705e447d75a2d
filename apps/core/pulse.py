"""A file that a process touches while its main loop turns, and the look at how old it is.

    python -m apps.core.pulse /tmp/docmill.pulse

For what runs containers, and starts one anew that hangs. Without Django, so that a look costs next
to nothing. That a database is away stops no pulse: a new process would find it no better.
"""

import argparse
import sys
import time
from pathlib import Path

OLD_SECONDS = 60.0
"""Workers beat every 10 seconds, beat every second; the rest is for a machine that is busy."""


def beat(path: Path | None) -> None:
    """Touches `path`, if there is one. Raises OSError when it cannot be written."""
    if path is not None:
        path.touch()


def age_seconds(path: Path, now: float) -> float:
    """How long ago `path` was touched, at `now` (seconds since 1970). Raises OSError without it."""
    return max(0.0, now - path.stat().st_mtime)


def main(arguments: list[str]) -> None:
    """Ends with 0 when it beats; otherwise with 1, and says why."""
    parser = argparse.ArgumentParser(prog="python -m apps.core.pulse")
    parser.add_argument("file", type=Path)
    parser.add_argument("--seconds", type=float, default=OLD_SECONDS, help="how old it may be (60)")
    given = parser.parse_args(arguments)
    try:
        age = age_seconds(given.file, time.time())
    except OSError as error:
        sys.exit(f"no pulse: {error}")
    if age > given.seconds:
        sys.exit(f"no pulse for {age:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
