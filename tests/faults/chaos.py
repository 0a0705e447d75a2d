"""Kills, freezes and cuts in an order that a seed decides, while jobs come in and are controlled.

What is decided by the seed is what is done and to which kind of process; when a process is at which
instruction is up to the machine, so two runs with one seed are alike and not the same.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from django.db import connection

from apps.core.errors import DocmillError
from apps.jobs.models import BatchFile, BatchJob, Completion
from apps.jobs.services import (
    cancel_job,
    delete_job,
    pause_job,
    requeue_job,
    resume_job,
    retry_job,
)
from apps.jobs.states import CLOSED, OPEN
from tests.batches import check_books, check_bytes, check_nothing_runs, owner_of
from tests.faults.ledger import check_ledger
from tests.faults.stage import WORK, Forked, Stage
from tests.processes import eventually
from tests.queue.test_processes import children_of

QUIET_SECONDS = 90
FROZEN_SECONDS = 5.0
"""Two and a half leases."""
MAX_OPEN = 12
"""Jobs at a time: more would only wait."""


class Chaos:
    """`say` takes a line of the log. `counts` tells how often what was done."""

    def __init__(self, stage: Stage, seed: int, say: Callable[[str], None]) -> None:
        self.stage = stage
        self.dice = random.Random(seed)
        self.say = say
        self.counts: Counter[str] = Counter()
        self.acknowledged: set[object] = set()
        self.deleted: set[object] = set()
        self.owner = owner_of(stage.organization)
        self.workers = [self._worker(), self._worker(loop=True)]
        self.beats = [self._beat(), self._beat()]
        self.frozen: list[tuple[float, list[int]]] = []
        self._began = time.monotonic()

    @property
    def kills(self) -> int:
        return sum(number for what, number in self.counts.items() if what.startswith("kill"))

    def run(self, *, kills: int, seconds: float) -> None:
        """Until so many processes were killed, or the time is over; then until all is quiet."""
        deadline = time.monotonic() + seconds
        strikes = [
            *[self.kill_child] * 6,
            *[self.kill_slot] * 5,
            *[self.kill_worker] * 2,
            self.kill_beat,
            self.freeze_worker,
            self.cut_database,
            self.kill_broker,
            self.wipe_broker,
        ]
        while self.kills < kills and time.monotonic() < deadline:
            self.submit()
            with suppress(DocmillError):
                self.control()
            self.dice.choice(strikes)()
            self.tend()
            time.sleep(self.dice.uniform(0.05, 0.35))
        self.calm_down()

    # --- what people do

    def submit(self) -> None:
        if BatchJob.objects.open().count() >= MAX_OPEN:
            return
        texts = [self.dice.choice(("0", "0.1", "0.3", "1.2")) for _ in range(5)]
        if self.dice.random() < 0.2:
            texts = ["0 same", "0 same", *texts]
        job = self.stage.submit(*texts)
        self.acknowledged.add(job.pk)
        self._count("submit", f"{job.pk} with {len(texts)} files")

    def control(self) -> None:
        if self.dice.random() < 0.8:
            return
        jobs = list(BatchJob.objects.order_by("pk"))
        job = self.dice.choice(jobs)
        verbs = (cancel_job, pause_job, resume_job, retry_job, requeue_job, self._delete)
        verb = self.dice.choice(verbs)
        verb(actor=self.owner, job=job)
        self._count(verb.__name__.strip("_"), str(job.pk))

    def _delete(self, *, actor: object, job: BatchJob) -> None:
        pk = job.pk
        delete_job(actor=self.owner, job=job)
        self.deleted.add(pk)

    # --- what happens to processes

    def kill_child(self) -> None:
        """The parsing child of some slot."""
        self._kill_one("kill child", [c for slot in self._slots() for c in children_of(slot)])

    def kill_slot(self) -> None:
        self._kill_one("kill slot", self._slots())

    def kill_worker(self) -> None:
        worker = self.dice.choice(self.workers)
        pids = worker.tree()
        self._kill([worker.pid, *pids])
        self._count("kill worker", f"{worker.pid} and {len(pids)} of its own")

    def kill_beat(self) -> None:
        beat = self.dice.choice(self.beats)
        self._kill([beat.pid])
        self._count("kill beat", str(beat.pid))

    def freeze_worker(self) -> None:
        """Stops a worker with its slots for longer than its lease; its children go on."""
        worker = self.dice.choice(self.workers)
        pids = worker.with_slots()
        if self.frozen:
            return
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        self.frozen.append((time.monotonic() + FROZEN_SECONDS, pids))
        self._count("freeze worker", str(pids))

    def cut_database(self) -> None:
        """Ends every connection but ours. SQLite has none to cut."""
        if connection.vendor != "postgresql":
            return
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
            self._count("cut database", f"{cursor.rowcount} connections")

    def kill_broker(self) -> None:
        self.stage.valkey.kill()
        self.stage.valkey.start()
        self._count("kill broker")

    def wipe_broker(self) -> None:
        self.stage.valkey.flushall()
        self._count("wipe broker")

    def tend(self) -> None:
        """Starts again what ended, as a service manager does, and wakes what was frozen."""
        now = time.monotonic()
        for due, pids in list(self.frozen):
            if now >= due:
                self.frozen.remove((due, pids))
                self._wake(pids)
        self.workers = [
            each if each.is_running else self._worker(loop=bool(number))
            for number, each in enumerate(self.workers)
        ]
        self.beats = [each if each.is_running else self._beat() for each in self.beats]

    def calm_down(self) -> None:
        """No more strikes: everything runs, every pause ends, and all jobs come to an end."""
        self.say(f"calm after {self.kills} kills")
        for _, pids in self.frozen:
            self._wake(pids)
        self.frozen = []
        self.tend()
        for job in BatchJob.objects.open():
            with suppress(DocmillError):
                resume_job(actor=self.owner, job=job)
        eventually(lambda: not BatchJob.objects.open().exists(), seconds=QUIET_SECONDS)
        eventually(lambda: not BatchFile.objects.running().exists(), seconds=QUIET_SECONDS)

    # --- what must hold

    def check(self) -> str:
        """Raises AssertionError; returns what came of it, in one line."""
        there = set(BatchJob.objects.values_list("pk", flat=True))
        assert there == self.acknowledged - self.deleted, "a job was lost or came from nowhere"
        check_books()
        check_nothing_runs()
        check_ledger()
        check_bytes()
        for job in BatchJob.objects.all():
            assert job.state in CLOSED - OPEN
            ends = Completion.objects.filter(job=job).values_list("run", flat=True)
            assert sorted(ends) == sorted(set(ends)), f"{job.pk} ended twice in one run"
            assert job.run in ends, f"{job.pk} ended without its completion"
        files = Counter(BatchFile.objects.values_list("state", flat=True))
        return f"{len(there)} jobs, files {dict(files)}, done {dict(self.counts)}"

    # --- the rest

    def _worker(self, *, loop: bool = False) -> Forked:
        mode = ("--loop",) if loop else ()
        return self.stage.start(*WORK, "--slots", "2", *mode)

    def _beat(self) -> Forked:
        return self.stage.start("beat")

    def _slots(self) -> list[int]:
        """Processes that have parsing children: pool slots, and loop workers themselves."""
        return [pid for worker in self.workers for pid in worker.with_slots()]

    def _kill_one(self, what: str, pids: list[int]) -> None:
        if pids:
            pid = self.dice.choice(pids)
            self._kill([pid])
            self._count(what, str(pid))

    def _kill(self, pids: list[int]) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _wake(self, pids: list[int]) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.say(f"wake {pids}")

    def _count(self, what: str, told: str = "") -> None:
        self.counts[what] += 1
        self.say(f"{time.monotonic() - self._began:8.2f} {what} {told}".rstrip())
