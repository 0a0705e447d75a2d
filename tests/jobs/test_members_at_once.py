"""Files found in containers: added once and all counted, whatever happens at the same moment."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.jobs.errors import JobFinished
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services import cancel_job
from apps.jobs.states import CLOSED
from apps.queue.models import in_seconds
from apps.queue.settle import succeed, take_back
from tests.batches import Scripted, check_books, claimed, owner_of, together
from tests.jobs.containers import opened, submit_files, zip_of, zipped

pytestmark = pytest.mark.django_db(transaction=True)

CONTAINERS = 8
ROUNDS = 5
INSIDE = {"same.txt": b"the same in each", "inner.zip": zip_of("x"), "run.exe": b"MZ" + bytes(64)}


def reading(count: int) -> list[tuple[BatchFile, Callable[[], bool]]]:
    """That many files, claimed and read, and what ends each with its members."""
    ends = []
    for number in range(count):
        file = claimed()
        found = {**INSIDE, f"{number}.txt": f"only in {number}".encode()}
        output = opened(Scripted(), file, found, text=f"text of {number}")
        ends.append(
            (file, lambda file=file, output=output: succeed(BatchFileHandler, file, output))
        )
    return ends


def of_zips(organization: Organization, count: int) -> BatchJob:
    return submit_files(organization, {f"{n}.zip": zip_of(str(n)) for n in range(count)})


def test_containers_that_end_at_once_lose_none_and_pass_no_limit(
    acme: Organization, settings: Settings, data_dir: Path
) -> None:
    settings.QUEUE_LANES = {"default": CONTAINERS}
    settings.BATCH_MAX_FOUND = found = 4 * CONTAINERS - 6
    job = of_zips(acme, CONTAINERS)
    assert all(together([end for _, end in reading(CONTAINERS)]))
    job.refresh_from_db()
    assert job.total == CONTAINERS + found
    assert job.rejected == BatchFile.objects.filter(state="rejected").count()
    assert BatchFile.objects.filter(depth=1).count() == found
    positions = BatchFile.objects.order_by("position").values_list("position", flat=True)
    assert list(positions) == list(range(1, CONTAINERS + found + 1))
    partial = BatchFile.objects.filter(result__quality="partial")
    assert 2 <= partial.count() <= 6
    check_books()
    assert not list((data_dir / "incoming").iterdir())


def test_a_worker_that_lost_its_lease_adds_nothing(acme: Organization, data_dir: Path) -> None:
    """It has read, is slow to settle, and another was given the file meanwhile."""
    for _ in range(ROUNDS):
        of_zips(acme, 1)
        [(file, late)] = reading(1)
        BatchFile.objects.filter(pk=file.pk).update(lease_expires_at=in_seconds(-1))
        taken, _ = together([partial(take_back, BatchFileHandler, file.pk), late])
        if taken:  # not where the slow one was quicker
            [(again, end)] = reading(1)
            assert again.pk == file.pk
            assert together([late, end, late]) == [False, True, False]
        assert BatchFile.objects.filter(parent=file).count() == len(INSIDE) + 1
        check_books()
        cancel_job(actor=owner_of(acme), job=file.job)  # clears the line for the next round


def test_cancel_leaves_nothing_to_run_of_what_is_found_meanwhile(acme: Organization) -> None:
    for _ in range(ROUNDS):
        job = submit_files(acme, {"a.zip": zipped({"b.zip": zip_of("c")}), "z.zip": zip_of("z")})
        ends = [end for _, end in reading(2)]

        def cancel(job: BatchJob = job) -> bool:
            try:
                return bool(cancel_job(actor=owner_of(acme), job=job))
            except JobFinished:
                return False

        together([*ends, cancel])
        job.refresh_from_db()
        assert job.state in CLOSED
        assert job.total == BatchFile.objects.filter(job=job).count()
        assert not BatchFile.objects.unfinished().filter(job=job).exists()
        check_books()
