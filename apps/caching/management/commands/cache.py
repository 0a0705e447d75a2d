"""`manage.py cache`: what is kept and how often it is found; ending it."""

import time
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from apps.caching import statistics
from apps.caching.kinds import TABLE
from apps.caching.memory_cache import MemoryCache
from apps.caching.overview import rows_of
from apps.caching.services import choose, clear, invalidate_chosen
from apps.caching.stores import store
from apps.core.commands import OperatorCommand, user_of, verb
from apps.core.screens import Told

MAX_MINUTES = 2880


class Command(OperatorCommand):
    help = """Show how often values are found and what is kept; invalidate them.

  manage.py cache stats
  manage.py cache stats --minutes 1440 --json
  manage.py cache invalidate --tag org:0190a1b2-...
  manage.py cache invalidate --kind text --soft
  manage.py cache invalidate --pattern 'org:*'
  manage.py cache clear

A pattern is the name of a kind with * and ? in it, or all tags of a class, as above. It holds in
every process at its next request, and is in the audit log. --soft serves what is old while it is
computed anew. What takes something away is asked for first; --yes answers, --dry-run only says it.
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        stats = verb(does, "stats", self._stats, "each kind: its times, how often it is found")
        stats.add_argument("--minutes", type=_minutes, default=60, help="how far back; default: 60")
        some = verb(does, "invalidate", self._invalidate, "end some values", changes=True)
        some.add_argument("--tag", action="append", default=[], metavar="TAG", dest="tags")
        some.add_argument("--kind", action="append", default=[], choices=[*TABLE], dest="kinds")
        some.add_argument("--pattern", default="", help="kinds by * and ?, or tags such as org:*")
        some.add_argument("--soft", action="store_true", help="serve them until they are new")
        verb(does, "clear", self._clear, "end all values and free their memory", changes=True)

    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)
        if not settings.ENABLE_CACHING:
            self.stderr.write("The cache is off: ENABLE_CACHING=false.", self.style.WARNING)
        if isinstance(store().shared, MemoryCache):
            told = "CACHE_REDIS_URL=memory: this reaches this process only, which ends now."
            self.stderr.write(told, self.style.WARNING)

    def _stats(self, options: dict[str, Any]) -> Told:
        now = int(time.time() // 60)
        counted = statistics.numbers(range(now - options["minutes"] + 1, now + 1))
        sizes = statistics.sizes()
        if counted is None or sizes is None:
            raise CommandError("Redis is away, and with it what was counted.")
        rows = [row._asdict() for row in rows_of(statistics.together(counted), sizes)]
        return Told("kinds", rows, name=f"the last {options['minutes']} min")

    def _invalidate(self, options: dict[str, Any]) -> Told:
        chosen = choose(tags=options["tags"], kinds=options["kinds"], pattern=options["pattern"])
        how = "Serve while it is computed anew" if options["soft"] else "Invalidate"
        done = self.may_go_on(f"{how}: {chosen}", options)
        if done:
            invalidate_chosen(
                by=user_of(options["user"]),
                chosen=chosen,
                soft=options["soft"],
                reason=options["reason"],
            )
            _require_told()
        rows = [{"what": "kind", "name": kind, "done": done} for kind in chosen.kinds]
        rows += [{"what": "tag", "name": tag, "done": done} for tag in chosen.tags]
        if chosen.found:
            count = f"{len(chosen.found)} in use"
            rows.append({"what": "tags", "name": count, "done": done})
        for tag in sorted(chosen.unused):
            self.stderr.write(f"No value has the tag {tag}.", self.style.WARNING)
        return Told("invalidated", rows)

    def _clear(self, options: dict[str, Any]) -> Told:
        done = self.may_go_on("Invalidate everything that is kept", options)
        removed = clear(by=user_of(options["user"]), reason=options["reason"]) if done else 0
        _require_told()
        return Told("cleared", [{"values": removed, "done": done}])


def _require_told() -> None:
    """This process ends now: nobody tells Redis later."""
    if store().owes:
        raise CommandError("Redis went away meanwhile and may not know of it: do it again.")


def _minutes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_MINUTES:
        raise ArgumentTypeError(f"a number from 1 to {MAX_MINUTES}, not {text!r}")
    return int(text)
