"""What it costs a request that it is counted.

    .venv/bin/python -m benchmarks.metrics [--rounds 40] [--quick]

In one process, on a database and a Redis of its own: the same request again and again, in turns
counted and not, and the difference of each pair of turns. "Counted" is all that Docmill counts of
the request: itself, its statements to the database, the cache and the limits. Processor time, for
the machine may have more to do. Then, what one call costs, and a scrape of many series.
"""

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.stage import Stage, markdown, stage
from tests.servers import GENEROUS

TURN = 20
"""Requests in a turn."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it works")
    chosen = parser.parse_args()
    os.environ |= GENEROUS | {"LOG_LEVEL": "ERROR", "ALLOWED_HOSTS": "testserver"}
    with stage("sqlite", chosen.quick) as here:
        rounds = here.size(chosen.rounds, 2)
        rows = [pair(name, ask, rounds) for name, ask in requests().items()]
        print(markdown(["request", "not counted", "counted costs", "share"], rows))
        print()
        print(markdown(["what", "takes"], [*calls(here), scrape(here)]))


def requests() -> dict[str, Callable[[], Any]]:
    """What is asked for, by its name."""
    from django.test import Client

    from apps.accounts.services import create_api_key, create_organization, create_user
    from tests.batches import submit

    owner = create_user(email="owner@example.com", password=None, name="Owner")
    organization = create_organization(name="Acme", owner=owner)
    _, token = create_api_key(organization=organization, user=owner, name="benchmark")
    for number in range(20):
        submit(organization, f"text {number}")
    anybody, program = Client(), Client(HTTP_AUTHORIZATION=f"Bearer {token}")
    return {
        "the way into the API, signed out": lambda: anybody.get("/api"),
        "the list of 20 jobs by the API": lambda: program.get("/api/batch/jobs"),
        "the limits of a key": lambda: program.get("/api/rate-limits"),
    }


def pair(name: str, ask: Callable[[], Any], rounds: int) -> tuple[str, ...]:
    """A line: microseconds without, the median of what counting adds, and its share."""
    assert ask().status_code == 200, name
    without, added = [], []
    for _ in range(rounds):
        took = {}
        for is_counted in random.sample([True, False], 2):
            with counting(is_counted):
                ask()
                began = time.process_time()
                for _ in range(TURN):
                    ask()
                took[is_counted] = (time.process_time() - began) / TURN * 1e6
        without.append(took[False])
        added.append(took[True] - took[False])
    plain, more = statistics.median(without), statistics.median(added)
    return name, f"{plain:.0f} us", f"{more:.0f} us", f"{more / plain:.1%}"


@contextmanager
def counting(is_on: bool) -> Iterator[None]:
    """Within, requests are counted or not."""
    from django.db import connection
    from django.test import override_settings

    from apps.core import metric_files, queries

    if is_on:
        yield
        return
    increase, wrappers = metric_files.Value.inc, list(connection.execute_wrappers)
    metric_files.Value.inc = lambda *_: None  # type: ignore[method-assign]
    connection.execute_wrappers[:] = [each for each in wrappers if each is not queries.measured]
    try:
        with override_settings(REQUEST_LISTENERS=["apps.core.access.write"]):
            yield
    finally:
        metric_files.Value.inc = increase  # type: ignore[method-assign]
        connection.execute_wrappers[:] = wrappers


def calls(here: Stage) -> list[tuple[str, ...]]:
    """What one call costs."""
    from apps.core import metrics

    series = metrics.SLOW_QUERIES.labels("select", "other")
    seconds = metrics.QUERY_SECONDS.labels("select", "other")
    table: dict[str, Callable[[], Any]] = {
        "a counter, one more": series.inc,
        "a histogram, one observation": lambda: seconds.observe(0.01),
        "finding a counter by two labels": lambda: metrics.SLOW_QUERIES.labels("select", "other"),
    }
    times = here.size(200_000, 2000)
    rows = []
    for name, call in table.items():
        began = time.process_time()
        for _ in range(times):
            call()
        rows.append((name, f"{(time.process_time() - began) / times * 1e6:.2f} us"))
    return rows


def scrape(here: Stage) -> tuple[str, str]:
    """A scrape of what five processes with many series left."""
    from apps.core import metric_files, metrics
    from apps.health.scraping import exposition

    for _ in range(4):
        child = os.fork()
        if not child:
            fill(metrics)
            os._exit(0)
        os.waitpid(child, 0)
    fill(metrics)
    exposition(with_shared=False)
    times = here.size(20, 2)
    began = time.process_time()
    for _ in range(times):
        text = exposition(with_shared=False)
    took = (time.process_time() - began) / times * 1000
    folder: Path = metric_files._state.folder or Path()
    size = sum(path.stat().st_size for path in folder.iterdir()) // 1024
    lines = text.count(b"\n")
    return f"a scrape of {lines} lines (folder: {size} KiB)", f"{took:.0f} ms"


def fill(metrics: Any) -> None:
    """As many series as a busy installation has."""
    for number in range(150):
        for method in ("GET", "POST"):
            metrics.REQUESTS.labels(method, f"route/{number}", "2xx").inc()
            metrics.REQUEST_SECONDS.labels(method, f"route/{number}").observe(0.03)
    for number in range(45):
        for operation in ("select", "insert", "update", "delete"):
            metrics.QUERY_SECONDS.labels(operation, f"table_{number}").observe(0.001)


if __name__ == "__main__":
    main()
