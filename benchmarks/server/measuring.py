"""The runs, and the tables of what they showed."""

import argparse
import random
import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass, field

import httpx

from benchmarks.server.cases import Cases
from benchmarks.server.filling import Person
from benchmarks.server.limits import RAISED
from benchmarks.server.load import Ask, Load, Seen
from benchmarks.server.watching import Used, Watched
from benchmarks.stage import Stage, markdown
from benchmarks.table import about

FEW, MANY = 50, 1000
SHARE_OF_THE_PEAK = 0.6
MIX = "the mix"
OPEN_TIMES = 5
"""How much longer than the others the last run takes: its 95th percentile is what counts."""
API_P95_MS, DATABASE_P95_MS = 500, 100
HEAD = (
    *("asked for", "connections", "a second", "of bare", "p50, p95, p99 ms", "CPU ms"),
    *("of bare", "statements", "database p95 ms", "errors"),
)


@dataclass
class Run:
    """Several rounds of one case: rates and milliseconds of processors for each request, by round;
    what came back, of all rounds."""

    rates: list[float] = field(default_factory=list)
    web_ms: list[float] = field(default_factory=list)
    database_ms: list[float] = field(default_factory=list)
    load_ms: list[float] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)

    def add(self, load: Load) -> None:
        used: Used = load.used[1].since(load.used[0])
        count = max(1, len(load.seen.all_latencies))
        self.rates.append(load.seen.rate)
        self.web_ms.append(used.web * 1000 / count)
        self.database_ms.append((used.database + used.redis) * 1000 / count)
        self.load_ms.append(used.load * 1000 / count)
        self.seen.add(load.seen)

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


class Measurement:
    def __init__(
        self,
        ready: Stage,
        port: int,
        web: int,
        people: list[Person],
        chosen: argparse.Namespace,
    ) -> None:
        self.port, self.people, self.chosen = port, people, chosen
        self.watched = Watched(web, ready.scratch)
        self.cases = Cases(people, [self._etag(who) for who in people])
        self.runs: dict[tuple[str, int], Run] = defaultdict(Run)
        self.memory_before = self.watched.web_megabytes()

    def run(self) -> None:
        wanted = [each for each in self.cases.all if self._is_wanted(each.name)]
        asks = [(each.name, self.cases.asking(each)) for each in wanted]
        asks.append((MIX, self.cases.mixed()))
        pairs = [(name, ask, count) for name, ask in asks for count in (FEW, MANY)]
        for _name, ask, _count in pairs[::2]:  # until every page has been drawn once
            Load(self.port, FEW, ask, self.watched).closed(seconds=0.5)
        chance = random.Random(9)
        for number in range(self.chosen.rounds):
            chance.shuffle(pairs)  # what disturbs the machine meanwhile disturbs all of them
            for name, ask, count in pairs:
                if count == FEW or not number:  # that many take long to be answered
                    self._closed(name, ask, count)
        self.memory = self.watched.web_megabytes()
        self.redis_memory = self.watched.redis_megabytes()
        self._open(asks[-1][1])

    def _is_wanted(self, name: str) -> bool:
        words = self.chosen.only
        return name.startswith("bare") or not words or any(word in name for word in words)

    def _closed(self, name: str, ask: Ask, count: int) -> None:
        load = Load(self.port, count, ask, self.watched)
        load.closed(seconds=self.chosen.seconds)
        self.runs[name, count].add(load)
        say(" | ".join(self._cells(name, count)))

    def _open(self, ask: Ask) -> None:
        self.peak = max(self.runs[MIX, count].rate for count in (FEW, MANY))
        load = Load(self.port, MANY, ask, self.watched)
        rate = self.peak * SHARE_OF_THE_PEAK
        self.opened = load.open(rate, seconds=self.chosen.seconds * OPEN_TIMES)
        self.opened_used: Used = load.used[1].since(load.used[0])

    def report(self, arguments: list[str]) -> str:
        machine = about(["django", "granian", "a2wsgi", "djangorestframework", "psycopg"])
        names = list(dict.fromkeys(name for name, _ in self.runs))
        order = [each.name for each in self.cases.all] + [MIX]
        rows = [
            self._cells(name, count)
            for name in sorted(names, key=order.index)
            for count in (FEW, MANY)
        ]
        shares = ", ".join(f"{each.share} % {each.name}" for each in self.cases.all if each.share)
        return "\n".join(
            (
                f"`.venv/bin/python -m benchmarks.server {' '.join(arguments)}`\n",
                ", ".join(f"{name} {value}" for name, value in machine.items()) + "\n",
                markdown(HEAD, rows),
                f"\n{MIX}: {shares}. Limits raised: {', '.join(RAISED)}.",
                f"\n{self._told_of_memory()}\n",
                self._open_table(),
            )
        )

    def _cells(self, name: str, count: int) -> tuple[str, ...]:
        run, bare = self.runs[name, count], self.runs.get(("bare view", count), Run())
        of_rate = of_cpu = ""
        rounds = range(min(len(run.rates), len(bare.rates)))
        if rounds and name != "bare view":
            of_rate = f"{statistics.median(run.rates[n] / bare.rates[n] for n in rounds):.2f}"
            of_cpu = f"{statistics.median(run.web_ms[n] / bare.web_ms[n] for n in rounds):.1f}"
        seen = run.seen
        cpu = f"{statistics.median(run.web_ms):.2f} + {statistics.median(run.database_ms):.2f}"
        return (
            name,
            str(count),
            f"{run.rate:.0f}",
            of_rate,
            percentiles(seen.all_latencies),
            cpu,
            of_cpu,
            *_of_database(seen),
            told(seen),
        )

    def _told_of_memory(self) -> str:
        def sizes(of: list[float]) -> str:
            return " and ".join(f"{size:.0f}" for size in of)

        return (
            f"Memory (PSS) of the web processes: {sizes(self.memory_before)} MB before, "
            f"{sizes(self.memory)} MB after; of Valkey {self.redis_memory:.0f} MB. What asks took "
            f"{statistics.median(self.runs[MIX, FEW].load_ms):.2f} ms of a processor for each "
            "request of the mix, on the same machine."
        )

    def _open_table(self) -> str:
        seen = self.opened
        rows = []
        api_p95 = at(seen.all_latencies, 0.95) * 1000
        database = [each for values in seen.database.values() for each in values]
        for name in (MIX, *sorted(seen.latencies)):
            latencies = seen.all_latencies if name == MIX else seen.latencies[name]
            values = database if name == MIX else seen.database[name]
            rows.append(
                (name, str(len(latencies)), percentiles(latencies), f"{at(values, 0.95):.1f}")
            )
        asked = self.peak * SHARE_OF_THE_PEAK
        met = api_p95 < API_P95_MS and at(database, 0.95) < DATABASE_P95_MS and not seen.errors
        return (
            f"{MANY} connections that together send {asked:.0f} requests a second, "
            f"{SHARE_OF_THE_PEAK:.0%} of the highest rate of the mix above ({self.peak:.0f}), "
            f"for {seen.seconds:.0f} s: p95 {api_p95:.0f} ms (aim: under {API_P95_MS}), of the "
            f"database {at(database, 0.95):.1f} ms (aim: under {DATABASE_P95_MS}), errors: "
            f"{told(seen)}. {'Met.' if met else 'Missed.'}\n\n"
            + markdown(("asked for", "answers", "p50, p95, p99 ms", "database p95 ms"), rows)
        )

    def _etag(self, who: Person) -> str:
        url = f"http://localhost:{self.port}/notifications/badge"
        return httpx.get(url, headers={"Cookie": who.cookie}).raise_for_status().headers["ETag"]


def _of_database(seen: Seen) -> tuple[str, str]:
    """How many statements on the mean, and how long those of a request took at the 95th."""
    counts = [each for values in seen.statements.values() for each in values]
    spent = [each for values in seen.database.values() for each in values]
    if not any(counts):
        return ("", "")
    return (f"{statistics.mean(counts):.1f}", f"{at(spent, 0.95):.1f}")


def told(seen: Seen) -> str:
    """The errors, by what they were."""
    return ", ".join(f"{count} x {why}" for why, count in seen.errors.items()) or "0"


def percentiles(latencies: list[float]) -> str:
    """Seconds, told as milliseconds."""
    return ", ".join(f"{at(latencies, part) * 1000:.0f}" for part in (0.5, 0.95, 0.99))


def at(values: list[float], part: float) -> float:
    ordered = sorted(values) or [0.0]
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
