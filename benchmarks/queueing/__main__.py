"""What the queue costs, each measured beside a named baseline in the same run.

    .venv/bin/python -m benchmarks.queueing [--database postgres] [--only NAME] [--quick]

Starts a Valkey and, where asked for, a PostgreSQL of its own in a temporary directory, and prints
a Markdown table. `--only` may be given several times. `--quick` takes small numbers, to see that
it works.
"""

import argparse
import logging
import sys
from collections.abc import Callable

from benchmarks.queueing import claims, isolation, kills, noop, scaling, submits
from benchmarks.stage import Stage, markdown, stage

MEASUREMENTS: dict[str, Callable[[Stage], None]] = {
    "noop": noop.measure,
    "submit": submits.measure,
    "isolation": isolation.measure,
    "workers": scaling.measure,
    "kill": kills.measure,
    "claim": claims.measure,  # the last one: it fills the database
}
HEAD = ("measured", "here", "beside", "ratio", "aim")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, default=[])
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    with stage(chosen.database, chosen.quick) as ready:
        logging.disable(logging.WARNING)  # of jobs that end, and of leases that are lost
        for name, measure in MEASUREMENTS.items():
            if name in (chosen.only or MEASUREMENTS):
                measure(ready)
        print(f"`.venv/bin/python -m benchmarks.queueing {' '.join(sys.argv[1:])}`\n")
        print(markdown(HEAD, ready.rows))


if __name__ == "__main__":
    main()
