"""Many open event streams, and what is left for ordinary requests beside them.

    .venv/bin/python benchmarks/streams.py [--streams 1000] [--seconds 12] [--rounds 3]

Starts the web server as `manage.py up` does (two processes) on a PostgreSQL and a Valkey of its
own. While 20 jobs change once a second each, reads a job through the API from 32 connections (wrk),
in turns without streams and beside all of them, each of which is told of one of the jobs. Then the
same changes without reads, with Redis and after it was stopped. Prints requests a second, CPU time
of the web server, the delay from the commit of a change to its arrival, threads and memory (PSS).
"""

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

JOBS = 20
USERS = 60
"""More than 1000 streams need, at LIVE_STREAMS_PER_USER in each process: connections are not
shared out evenly."""
CONNECTIONS = 32
IDENTIFIER = re.compile(rb"^id: (\d+)$", re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with ExitStack() as stack:
        valkey = stack.enter_context(servers())
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        keys, jobs = build()
        port = stack.enter_context(web_server())
        Measurement(port, keys, jobs, chosen).run(valkey)


@contextmanager
def servers() -> Iterator[Any]:
    """A database and a Valkey, named in the environment with all that the web server needs."""
    from tests.servers import Postgres, Valkey, scratch_directory

    scratch = scratch_directory()
    for name in ("postgres", "valkey"):
        (scratch / name).mkdir(mode=0o700)
    postgres, valkey = Postgres(scratch / "postgres"), Valkey(scratch / "valkey")
    try:
        postgres.start()
        valkey.start()
        os.environ |= {
            "DATABASE_URL": postgres.url.removesuffix("docmill") + "postgres",
            "REDIS_URL": valkey.url,
            "DOCMILL_DATA_DIR": tempfile.mkdtemp(dir=scratch),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "LIMIT_API": "unlimited",
            "LIMIT_GLOBAL": "unlimited",
            "LIMIT_LIVE": "unlimited",
            "ENV_FILE": os.devnull,
        }
        yield valkey
    finally:
        valkey.close()
        postgres.close()
        shutil.rmtree(scratch)


def build() -> tuple[list[str], list[Any]]:
    """Keys of members, and paused jobs, all in one organization."""
    from apps.accounts.actor import Actor
    from apps.accounts.roles import Role
    from apps.accounts.services import add_member, create_api_key, create_organization, create_user
    from apps.jobs.services import pause_job
    from tests.batches import submit

    owner = create_user(email="owner@example.com", password=None, name="Owner")
    organization = create_organization(name="Bench", owner=owner)
    keys = []
    for number in range(USERS):
        user = create_user(email=f"{number}@example.com", password=None, name=f"Reader {number}")
        add_member(organization=organization, user=user, role=Role.READER)
        keys.append(create_api_key(organization=organization, user=user, name="bench")[1])
    actor = Actor(user=owner, organization=organization, role=Role.OWNER)
    jobs = [pause_job(actor=actor, job=submit(organization, "one", "two")) for _ in range(JOBS)]
    return keys, [(actor, job) for job in jobs]


@contextmanager
def web_server() -> Iterator[int]:
    import httpx

    from apps.health.serving import Serving
    from tests.jobs.serving import free_port

    port = free_port()
    process = subprocess.Popen(Serving("127.0.0.1", port).command(), cwd=ROOT)
    try:
        for _ in range(300):
            with suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                    break
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


class Stream(asyncio.Protocol):
    """One open stream, and when which revision arrived."""

    def __init__(self, job: str, key: str) -> None:
        self.job, self.key = job, key
        self.told: list[tuple[int, float]] = []

    def connection_made(self, transport: Any) -> None:
        path = f"/api/batch/jobs/{self.job}/events"
        head = f"Host: localhost\r\nAuthorization: Bearer {self.key}"
        transport.write(f"GET {path} HTTP/1.1\r\n{head}\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        at = time.time()
        for found in IDENTIFIER.findall(data):
            self.told.append((int(found), at))

    def delays(self, changed: list[tuple[int, float]]) -> Iterator[float]:
        """From each change of the job to the first event that tells of it or of a later one."""
        told = iter(self.told)
        revision, at = next(told)
        for wanted, changed_at in changed:
            while revision < wanted:
                revision, at = next(told, (sys.maxsize, 0.0))
            if at:
                yield at - changed_at


class Streams:
    """Open streams, read by one thread."""

    def __init__(self, port: int, targets: list[tuple[str, str]]) -> None:
        """One for each (job, key), 50 at a time. All have begun then, or a minute is over."""
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.streams = [Stream(job, key) for job, key in targets]
        opening = asyncio.run_coroutine_threadsafe(self._open(port), self._loop)
        self._transports = opening.result()

    @property
    def begun(self) -> int:
        return sum(bool(stream.told) for stream in self.streams)

    def close(self) -> None:
        for transport in self._transports:
            self._loop.call_soon_threadsafe(transport.abort)
        time.sleep(3)

    async def _open(self, port: int) -> list[Any]:
        transports = []
        until = time.monotonic() + 60
        for stream in self.streams:
            made = await self._loop.create_connection(lambda one=stream: one, "127.0.0.1", port)
            transports.append(made[0])
            while len(transports) - self.begun >= 50 and time.monotonic() < until:
                await asyncio.sleep(0.02)
        while self.begun < len(self.streams) and time.monotonic() < until:
            await asyncio.sleep(0.1)
        return transports


@dataclass
class Phase:
    """What was measured in some seconds: reads a second, CPU seconds of the web server a second,
    and how late each stream was told of each change."""

    rate: float
    cpu: float
    delays: list[float]


class Measurement:
    def __init__(
        self, port: int, keys: list[str], jobs: list[Any], chosen: argparse.Namespace
    ) -> None:
        self.port, self.keys, self.jobs, self.chosen = port, keys, jobs, chosen
        self.targets = [
            (str(jobs[number % JOBS][1].pk), keys[number % USERS])
            for number in range(chosen.streams)
        ]

    def run(self, valkey: Any) -> None:
        self.reads(3)  # warm
        idle = processes()
        alone, beside, quiet = [], [], []
        for number in range(self.chosen.rounds):
            alone.append(self.phase(None))
            streams = Streams(self.port, self.targets)
            print(f"round {number + 1}: {streams.begun} of {self.chosen.streams} streams begun")
            beside.append(self.phase(streams))
            quiet.append(self.phase(streams, reads=False))
            full = processes()
            if number == self.chosen.rounds - 1:
                valkey.stop()
                time.sleep(3)
                without_redis = self.phase(streams, reads=False)
            streams.close()
        tell("reads, no streams", alone)
        tell("reads beside streams", beside)
        tell("streams, no reads", quiet)
        tell("the same without Redis", [without_redis])
        ratio = median(each.rate for each in beside) / median(each.rate for each in alone)
        print(f"reads beside streams: {ratio:.0%} of those without")
        for pid, (threads, size) in full.items():
            before = idle[pid]
            print(f"{pid}: {before[0]} -> {threads} threads, {before[1]:.0f} -> {size:.0f} MB")

    def reads(self, seconds: int) -> float:
        """Requests a second for one job."""
        url = f"http://127.0.0.1:{self.port}/api/batch/jobs/{self.jobs[0][1].pk}"
        header = f"Authorization: Bearer {self.keys[0]}"
        command = f"wrk -t1 -c{CONNECTIONS} -d{seconds}s --timeout 10s -H".split()
        done = subprocess.run([*command, header, url], capture_output=True, text=True, check=True)
        assert "Non-2xx" not in done.stdout, done.stdout
        return float(re.findall(r"Requests/sec: +([\d.]+)", done.stdout)[0])

    def phase(self, streams: Streams | None, *, reads: bool = True) -> Phase:
        """While the jobs change."""
        done = threading.Event()
        changed: dict[str, list[tuple[int, float]]] = defaultdict(list)
        changing = threading.Thread(target=self._change, args=(done, changed))
        used, began = cpu_seconds(), time.monotonic()
        changing.start()
        rate = self.reads(self.chosen.seconds) if reads else 0.0
        if not reads:
            time.sleep(self.chosen.seconds)
        cpu = (cpu_seconds() - used) / (time.monotonic() - began)
        done.set()
        changing.join()
        time.sleep(3)
        return Phase(rate, cpu, self._delays(streams, changed) if streams else [])

    def _delays(self, streams: Streams, changed: dict[str, list[tuple[int, float]]]) -> list[float]:
        delays = [each for one in streams.streams for each in one.delays(changed[one.job])]
        missing = sum(len(changed[one.job]) for one in streams.streams) - len(delays)
        assert not missing, f"{missing} changes were not told of"
        return delays

    def _change(self, done: threading.Event, changed: dict[str, list[tuple[int, float]]]) -> None:
        from django.db import connection

        from apps.jobs.services import keep_job

        kept = True
        while not done.is_set():
            began = time.monotonic()
            for actor, job in self.jobs:
                revision = keep_job(actor=actor, job=job, kept=kept).revision
                changed[str(job.pk)].append((revision, time.time()))
            kept = not kept
            done.wait(max(0.0, 1.0 - (time.monotonic() - began)))
        connection.close()


def tell(what: str, phases: list[Phase]) -> None:
    rate = median(phase.rate for phase in phases)
    line = f"{what:<24} {rate:>6.0f} reads/s, web CPU {median(p.cpu for p in phases):.0%}"
    if delays := sorted(each for phase in phases for each in phase.delays):
        p50, p99 = (delays[int(len(delays) * part)] * 1000 for part in (0.5, 0.99))
        line += f", event delay p50 {p50:.0f} ms, p99 {p99:.0f} ms ({len(delays)} events)"
    print(line)


def cpu_seconds() -> float:
    """Used by the worker processes of the web server so far."""
    ticks = 0
    for pid in processes():
        numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(numbers[11]) + int(numbers[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def processes() -> dict[int, tuple[int, float]]:
    """Threads and memory (PSS, MB) of the worker processes of the web server."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_ours = f"DOCMILL_DATA_DIR={os.environ['DOCMILL_DATA_DIR']}".encode()
            command = (entry / "cmdline").read_bytes()
            if b"granian" in command and is_ours in (entry / "environ").read_bytes():
                rollup = (entry / "smaps_rollup").read_text()
                size = int(rollup.split("Pss:")[1].split()[0]) / 1024
                found[int(entry.name)] = (len(list((entry / "task").iterdir())), size)
    return dict(sorted(found.items()))


if __name__ == "__main__":
    main()
