"""What lines of the log, metrics, errors and traces cost a request: processor time, as ratios.

    python -m benchmarks.layers [--quick]

Each layer has a process of its own, since Sentry's client and OpenTelemetry change the process they
are in. All of them answer the same requests in turn, in process, without a web server, and send to
a server on this machine. SQLite; limits and cache in memory. Threads that send count.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.stage import markdown
from tests.logs import sink as sinks
from tests.servers import GENEROUS

ROOT = Path(__file__).resolve().parents[1]
LINE, COUNTED = "apps.core.access.write", "apps.core.metrics.count_request"
BARE = "nothing of it"
PATHS = {"robots.txt": "/robots.txt", "list of jobs": "/api/batch/jobs"}
WARM_UP = 50


def layers(sink: sinks.Sink) -> dict[str, dict[str, str]]:
    """Variables of each layer's process."""
    sentry = {"SENTRY_DSN": sink.dsn}
    traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url}
    return {
        BARE: {},
        "a line in JSON": {"LAYERS": LINE},
        "metrics": {"LAYERS": COUNTED},
        "Sentry, errors": sentry,
        "Sentry, every request traced": {**sentry, "SENTRY_TRACES_SAMPLE_RATE": "1.0"},
        "OpenTelemetry": traces,
        "line, metrics, Sentry (errors)": {**sentry, "LAYERS": f"{LINE},{COUNTED}"},
    }


def serve() -> None:
    """A layer's process: answers `CALLS PATH` on its input with the microseconds of each request,
    on the mean."""
    import django
    from django.conf import settings

    settings.REQUEST_LISTENERS = [name for name in os.environ.get("LAYERS", "").split(",") if name]
    django.setup()
    from django.test import Client

    key = {"authorization": f"Bearer {os.environ['KEY']}", "host": "localhost"}
    client = Client(headers=key)
    for line in sys.stdin:
        calls, path = line.split()
        began = time.process_time()
        for _ in range(int(calls)):
            answer = client.get(path)
            assert answer.status_code == 200, answer.content
        print((time.process_time() - began) / int(calls) * 1e6, flush=True)


@contextmanager
def process(env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.layers", "--serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=env,
        cwd=ROOT,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                pipe.close()


def asked(child: subprocess.Popen[str], calls: int, path: str) -> float:
    assert child.stdin
    assert child.stdout
    child.stdin.write(f"{calls} {path}\n")
    child.stdin.flush()
    return float(child.stdout.readline())


def measured(
    env: dict[str, str], sink: sinks.Sink, rounds: int, calls: int
) -> dict[tuple[str, str], list[float]]:
    """Microseconds of a request in each round, by layer and path."""
    found: dict[tuple[str, str], list[float]] = {}
    chance = random.Random(6)
    with ExitStack() as stack:
        children = {
            name: stack.enter_context(process({**env, **more}))
            for name, more in layers(sink).items()
        }
        for path in PATHS.values():
            for child in children.values():
                asked(child, WARM_UP, path)
        for _ in range(rounds):
            for name in chance.sample(list(children), len(children)):
                for path in PATHS.values():
                    took = asked(children[name], calls, path)
                    found.setdefault((name, path), []).append(took)
    return found


def prepared(folder: str) -> dict[str, str]:
    """A database with an organization, and the environment in which it is found."""
    env = {
        **os.environ,
        **GENEROUS,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DOCMILL_DATA_DIR": folder,
        "ENVIRONMENT": "production",
        "LIMITS_REDIS_URL": "memory",
        "CACHE_REDIS_URL": "memory",
    }
    manage = [sys.executable, "manage.py"]
    admin = ["create_admin", "--email", "bench@example.com", "--generate"]
    for command in (["migrate", "-v0"], admin):
        subprocess.run([*manage, *command], env=env, cwd=ROOT, check=True, capture_output=True)
    made = [*manage, "create_api_key", "--user", "bench@example.com"]
    told = subprocess.run(made, env=env, cwd=ROOT, check=True, capture_output=True, text=True)
    return {**env, "KEY": told.stdout.strip()}


def table(found: dict[tuple[str, str], list[float]]) -> str:
    """Each layer by the one without, of the same round; the median and the ends."""
    rows: list[tuple[str, ...]] = []
    for name in layers(sinks.Sink()):
        cells = []
        for path in PATHS.values():
            pairs = zip(found[name, path], found[BARE, path], strict=True)
            ratios = sorted(mine / bare for mine, bare in pairs)
            cells.append(f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
        rows.append((name, *cells))
    return markdown(("with", *PATHS), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller numbers, to see it work")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    rounds, calls = (2, 50) if options.quick else (9, 150)
    with TemporaryDirectory() as folder, sinks.running() as sink:
        print(table(measured(prepared(folder), sink, rounds, calls)))


if __name__ == "__main__":
    main()
