"""What the web server carries, beside a bare Django view on the same server in the same run.

    .venv/bin/python -m benchmarks.server [--rounds 3] [--seconds 3] [--quick] [--into PAGE]

Starts PostgreSQL (every commit synced), Valkey and the web server as `manage.py up` does (two
processes), fills the database with 20 000 jobs of ten organizations, and asks from a hundred people
at 50 connections in each of the rounds, and once at 1000, each of which sends its next request when
the last one was answered.
Then 1000 connections together send 60 % of the highest rate of the mix that was measured, at random
moments, whether answers come or not. All on one machine, this process too.
`--into` writes the tables between the marks in a file.
"""

import argparse
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.server.limits import RAISED
from benchmarks.stage import Stage, stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--only", action="append", default=[], help="a word of a case's name")
    parser.add_argument("--quick", action="store_true", help="see that it works")
    parser.add_argument("--into", type=Path, help="a page to write the tables into")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.rounds, chosen.seconds, chosen.jobs = 1, 1.0, 1000
    with stage("postgres", chosen.quick) as ready:
        logging.getLogger("httpx").setLevel(logging.WARNING)
        from benchmarks.server.filling import fill
        from benchmarks.server.measuring import Measurement

        people = fill(chosen.jobs)
        with web_server(ready) as (port, process):
            measurement = Measurement(ready, port, process, people, chosen)
            measurement.run()
        report = measurement.report(sys.argv[1:])
    print(report)
    if chosen.into:
        write_into(chosen.into, report)


@contextmanager
def web_server(ready: Stage) -> Iterator[tuple[int, int]]:
    """Its port, and its process id."""
    import httpx
    from django.core.management import call_command

    from apps.health.serving import Serving
    from tests.jobs.serving import free_port

    call_command("collectstatic", verbosity=0, interactive=False)
    port = free_port()
    env = os.environ | RAISED | {"DJANGO_SETTINGS_MODULE": "benchmarks.server.settings"}
    log = ready.log("web")
    with log.open("wb") as output:
        process = subprocess.Popen(
            Serving("127.0.0.1", port).command(), env=env, stdout=output, stderr=output
        )
    try:
        for _ in range(600):
            assert process.poll() is None, log.read_text()
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def write_into(page: Path, report: str) -> None:
    """Between the marks of the page."""
    begin, end = "<!-- load: begin -->\n", "<!-- load: end -->"
    before, _, rest = page.read_text().partition(begin)
    assert rest, f"{page} has no line {begin}"
    page.write_text(f"{before}{begin}\n{report}\n{end}{rest.partition(end)[2]}")


if __name__ == "__main__":
    main()
