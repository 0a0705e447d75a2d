"""The state machine against a plain model of it: any commands in any order, also senseless ones.

The model knows what DESIGN says of a file, and nothing of how it is done: no SQL, no tokens.
"""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.db.models.functions import Now
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.core.errors import DocmillError
from apps.jobs.models import BatchFile, BatchJob, Completion
from apps.jobs.services import cancel_job, pause_job, requeue_job, resume_job, retry_job
from apps.queue.claim import claim
from apps.queue.models import Pause
from apps.queue.retry import FailureClass
from apps.queue.settle import fail, succeed, take_back
from tests.batches import SOMEBODY, Scripted, check_books, failure_of, owner_of, submit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("script")]

ENDED = {"succeeded", "failed", "quarantined", "cancelled"}
WAITING = {"queued", "retry_wait"}
FAILURES = st.sampled_from([each for each in FailureClass if each is not FailureClass.LOST])
WHICH = st.integers(0, 5)


@dataclass
class Known:
    """What the model knows of a file. `retries`, `crashes` and `losses` count in this run."""

    state: str = "queued"
    run: int = 1
    held: bool = False
    heavy: bool = False
    stops: bool = False
    retries: int = 0
    crashes: int = 0
    losses: int = 0

    def fails(self, why: FailureClass) -> None:
        if self.stops:
            self.state, self.stops = "cancelled", False
            return
        self.losses = self.losses + 1 if why is FailureClass.LOST else 0
        self.retries += why is FailureClass.TRANSIENT
        self.crashes += why is FailureClass.CRASH
        was_heavy, self.heavy = self.heavy, self.heavy or why is FailureClass.RESOURCE
        self.state = {
            FailureClass.PERMANENT: "failed",
            FailureClass.TRANSIENT: "retry_wait" if self.retries <= 3 else "failed",
            FailureClass.RATE_LIMITED: "retry_wait",
            FailureClass.INFRA: "retry_wait",
            FailureClass.RESOURCE: "failed" if was_heavy else "queued",
            FailureClass.CRASH: "queued" if self.crashes < 2 else "quarantined",
            FailureClass.LOST: "queued" if self.losses < 5 else "quarantined",
            FailureClass.BUDGET: "queued",
            FailureClass.INTERRUPTED: "queued",
        }[why]

    def again(self) -> None:
        self.__init__(run=self.run + 1)  # type: ignore[misc]  # all but the run as at first


class Machine(RuleBasedStateMachine):
    organization: ClassVar[Organization]
    files: ClassVar[int] = 3

    def __init__(self) -> None:
        super().__init__()
        texts = (f"{uuid.uuid4()}" for _ in range(self.files))
        self.job: BatchJob = submit(self.organization, *texts)
        rows = BatchFile.objects.filter(job=self.job).order_by("position")
        self.known = {row.pk: Known() for row in rows}
        self.paused = False
        self.held: list[BatchFile] = []
        self.owner = owner_of(self.organization)
        self.ends = 0

    def teardown(self) -> None:
        BatchFile.objects.filter(job=self.job).delete()
        BatchJob.objects.filter(pk=self.job.pk).delete()
        Pause.objects.all().delete()

    # --- workers

    @rule()
    def claims(self) -> None:
        for lane in ("default", "heavy", "ocr"):
            self._claims(lane)

    def _claims(self, lane: str) -> None:
        Pause.objects.all().delete()  # what a failure of ours pauses would hide all the rest
        BatchFile.objects.filter(job=self.job).update(available_at=Now())
        fits = {
            pk
            for pk, file in self.known.items()
            if file.state in WAITING
            and not file.held
            and lane == ("heavy" if file.heavy else "default")
        }
        found = claim(lane, SOMEBODY)
        if not fits:
            assert found is None
            return
        assert found is not None
        row = found[1]
        assert row.pk in fits
        self.known[row.pk].state = "running"
        assert isinstance(row, BatchFile)
        self.held.append(row)

    @rule(which=WHICH)
    def succeeds(self, which: int) -> None:
        if row := self._one(which):
            file = self._mine(row)
            assert succeed(Scripted, row, Scripted().read(str(row.pk))) == (file is not None)
            if file is not None:
                file.state = "cancelled" if file.stops else "succeeded"
                file.stops = False

    @rule(which=WHICH, why=FAILURES)
    def fails(self, which: int, why: FailureClass) -> None:
        if row := self._one(which):
            file = self._mine(row)
            assert fail(Scripted, row, failure_of(why)) == (file is not None)
            if file is None:
                return
            file.fails(why)
            if why is FailureClass.BUDGET and file.state in WAITING and not self._stops:
                self._pauses()
            file.held = self.paused and file.state in WAITING

    @rule(which=WHICH)
    def is_lost(self, which: int) -> None:
        """Its worker is not heard of any more, but lives: it may settle later."""
        if not (row := self._one(which)):
            return
        self.held.append(row)
        file = self._mine(row)
        mine = BatchFile.objects.filter(pk=row.pk, lease_token=row.lease_token)
        mine.update(lease_expires_at=Now() - timedelta(seconds=1))
        assert take_back(Scripted, row.pk) == (file is not None)
        if file is not None:
            file.fails(FailureClass.LOST)
            file.held = self.paused and file.state in WAITING

    @rule(which=WHICH)
    def nobody_lost_it(self, which: int) -> None:
        """A sweep that comes upon a lease in force, or upon none."""
        assert not take_back(Scripted, list(self.known)[which % len(self.known)])

    # --- people

    @rule()
    def somebody_pauses(self) -> None:
        self._pause()

    @rule()
    def somebody_resumes(self) -> None:
        self._resume()

    @rule(what=st.sampled_from(["_cancel", "_retry", "_requeue"]))
    def somebody_asks(self, what: str) -> None:
        getattr(self, what)()

    def _cancel(self) -> None:
        if not self._does(cancel_job, self._is_open):
            return
        self.paused = False
        for file in self.known.values():
            if file.state in WAITING:
                file.state, file.held = "cancelled", False
            elif file.state == "running":
                file.stops = True

    def _pause(self) -> None:
        if self._does(pause_job, self._is_open):
            if self._stops:
                for file in self.known.values():
                    file.held = file.held or file.state in WAITING
            else:
                self._pauses()

    def _resume(self) -> None:
        if self._does(resume_job, self._is_open):
            self.paused = False
            for file in self.known.values():
                file.held = False

    def _retry(self) -> None:
        self._runs_again(retry_job, {"failed", "cancelled", "quarantined"})

    def _requeue(self) -> None:
        self._runs_again(requeue_job, ENDED)

    # --- what must hold at every moment

    @invariant()
    def the_table_is_as_the_model(self) -> None:
        for row in BatchFile.objects.filter(job=self.job):
            file = self.known[row.pk]
            now = (row.state, row.run, row.is_held, row.cancel_requested, row.is_heavy)
            assert now == (file.state, file.run, file.held, file.stops, file.heavy)
            counted = (row.failures, row.crashes, row.losses)
            assert counted == (file.retries, file.crashes, file.losses)
            assert (row.lease_token is not None) == (file.state == "running")
        check_books()

    @invariant()
    def every_run_ends_once(self) -> None:
        job = BatchJob.objects.get(pk=self.job.pk)
        if all(file.state in ENDED for file in self.known.values()):
            self.paused = False
        assert Completion.objects.filter(job=job).count() == job.run - (job.finished_at is None)
        assert (job.state == "paused") == self.paused

    # --- the rest

    @property
    def _is_open(self) -> bool:
        return any(file.state not in ENDED for file in self.known.values())

    @property
    def _stops(self) -> bool:
        return BatchJob.objects.get(pk=self.job.pk).state == "cancelling"

    def _one(self, which: int) -> BatchFile | None:
        if not self.held:
            if not self._is_open:
                self._requeue()
            self.claims()
        return self.held.pop(which % len(self.held)) if self.held else None

    def _mine(self, row: BatchFile) -> Known | None:
        """What the model knows of the file, if that run of it is still the one that counts."""
        current = BatchFile.objects.filter(pk=row.pk, lease_token=row.lease_token).exists()
        file = self.known[row.pk]
        return file if current and file.state == "running" else None

    def _pauses(self) -> None:
        self.paused = True
        for file in self.known.values():
            file.held = file.held or file.state in WAITING

    def _does(self, verb: Any, is_possible: bool) -> bool:
        try:
            verb(actor=self.owner, job=self.job)
        except DocmillError:
            assert not is_possible
            return False
        assert is_possible
        return True

    def _runs_again(self, verb: Any, states: set[str]) -> None:
        chosen = [file for file in self.known.values() if file.state in states]
        if self._does(verb, bool(chosen) and not self._is_open):
            for file in chosen:
                file.again()


@pytest.fixture
def _roomy(settings: Settings) -> None:
    settings.QUEUE_LANES = dict.fromkeys(settings.QUEUE_LANES, 100)


@pytest.mark.usefixtures("_roomy")
def test_whatever_is_done_in_whatever_order(acme: Organization) -> None:
    Machine.organization = acme
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=50,
            deadline=None,
            phases=[Phase.generate],  # a shorter example would take minutes to find
            suppress_health_check=list(HealthCheck),
        ),
    )
