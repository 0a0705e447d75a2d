"""Working from SQL alone, in one process."""

import threading
from collections.abc import Callable, Iterator

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.jobs.models import BatchFile
from apps.queue import drain, loop, worker
from apps.queue.claim import claim
from apps.queue.models import WorkerNode
from apps.queue.sweep import sweep
from tests.batches import check_books, check_nothing_runs, submit
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("script")]


@pytest.fixture
def looping(settings: Settings) -> Iterator[Callable[[], None]]:
    """Starts a worker of two slots in this process; it is drained at the end."""
    settings.SWEEP_SECONDS = 0.1
    threads = []

    def run() -> None:
        try:
            loop.work_until_drained(["default"], 2)
        finally:
            connection.close()

    def start() -> None:
        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield start
    drain.begin()
    for thread in threads:
        thread.join()


def all_done() -> bool:
    return not BatchFile.objects.unfinished().exists()


def test_once_runs_all_and_says_how_many(
    acme: Organization, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(acme, "one", "two")
    call_command("work", "--once")
    assert capsys.readouterr().out == "2 run\n"
    assert all_done()
    check_books()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--once", "--lanes", "default,nowhere"], "No such lane: nowhere"),
        (["--once", "--slots", "0"], "at least 1"),
    ],
)
def test_a_mistake_is_told(arguments: list[str], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        call_command("work", *arguments)


def test_the_loop_works_what_comes_and_signs_off(
    acme: Organization, looping: Callable[[], None]
) -> None:
    looping()
    submit(acme, "one", "two", "three")
    eventually(all_done)
    assert WorkerNode.objects.get().slots == 2
    drain.begin()
    eventually(lambda: not WorkerNode.objects.exists())
    check_books()
    check_nothing_runs()


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OperationalError("gone")])
def test_an_error_between_runs_ends_no_slot_and_no_sweep(
    acme: Organization,
    looping: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    claims, sweeps = iter([error] * 4), iter([error] * 2)

    def flaky_claim(*arguments: object, **more: object) -> object:
        for failure in claims:
            raise failure
        return claim(*arguments, **more)  # type: ignore[arg-type]

    def flaky_sweep() -> None:
        for failure in sweeps:
            raise failure
        sweep()

    monkeypatch.setattr(worker, "claim", flaky_claim)
    monkeypatch.setattr(loop, "sweep", flaky_sweep)
    submit(acme, "one", "two")
    looping()
    eventually(all_done)
    check_books()
