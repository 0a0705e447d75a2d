"""How long cleanup takes, and how long it keeps others waiting.

    .venv/bin/python benchmarks/cleanup.py [--database postgres] [--jobs 10000] [--files 5]

Fills a database and a data directory of its own with jobs whose time is over: each file has bytes,
one attempt and a result of its own, and a tenth as many jobs stay. Prints the time of the dry run,
of the whole, and of the transactions: the median, the 95th percentile and the longest.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from job_lists import scratch_database

CHUNK = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=5)
    chosen = parser.parse_args()
    with scratch_database(chosen.database):
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        started = time.perf_counter()
        build(chosen.jobs, chosen.files)
        print(f"{chosen.database}: made in {time.perf_counter() - started:.0f} s")
        report()


def build(jobs: int, files: int) -> None:
    from django.db import connection

    from apps.accounts.services import create_organization, create_user

    user = create_user(email="owner@example.com", password=None)
    organization = create_organization(name="Acme", owner=user)
    for first in range(0, jobs * 11 // 10, CHUNK):
        count = min(CHUNK, jobs * 11 // 10 - first)
        _make(organization, count, files, is_over=first < jobs, first=first)
    if connection.vendor == "postgresql":  # SQLite has no such habit by itself
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def _make(organization: Any, count: int, files: int, *, is_over: bool, first: int) -> None:
    import uuid

    from django.utils import timezone

    from apps.jobs.models import BatchFile, BatchJob, FileAttempt, FileResult

    now = timezone.now()
    expires = now + timedelta(days=-1 if is_over else 1)
    ended: dict[str, Any] = {"state": "succeeded", "finished_at": now, "started_at": now}
    jobs = BatchJob.objects.bulk_create(
        BatchJob(
            organization=organization,
            operation="extract",
            total=files,
            succeeded=files,
            expires_at=expires + timedelta(milliseconds=first + number),
            **ended,
        )
        for number in range(count)
    )
    blobs = _make_blobs(organization, count * files * 2, first=first * files * 2)
    rows = BatchFile.objects.bulk_create(
        BatchFile(
            organization=organization,
            job=job,
            position=position + 1,
            name=f"{position}.txt",
            kind="txt",
            lane="default",
            content=blobs[number * files + position],
            **ended,
        )
        for number, job in enumerate(jobs)
        for position in range(files)
    )
    FileAttempt.objects.bulk_create(
        FileAttempt(row=row, run=1, number=1, lease_token=uuid.uuid4(), worker_id=uuid.uuid4())
        for row in rows
    )
    FileResult.objects.bulk_create(
        FileResult(file=row, run=1, content=blob, pages=1, words=1, quality="good", engine="text")
        for row, blob in zip(rows, blobs[count * files :], strict=True)
    )


def _make_blobs(organization: Any, count: int, *, first: int) -> list[Any]:
    from apps.jobs import storage
    from apps.jobs.models import Blob

    blobs = Blob.objects.bulk_create(
        Blob(
            organization=organization,
            sha256=f"{(first + number) * 2654435761 % 2**32:08x}".ljust(64, "0"),
            size_bytes=100,
        )
        for number in range(count)
    )
    for blob in blobs:
        path = storage.path_of(blob)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 100)
    return blobs


@contextmanager
def timed(into: list[float]) -> Iterator[None]:
    started = time.perf_counter()
    yield
    into.append(time.perf_counter() - started)


def report() -> None:
    """Removes what is over, and prints how long each part of it took."""
    from apps.jobs import cleanup
    from apps.jobs.models import BatchJob

    transactions: list[float] = []
    releases: list[float] = []
    locked, released = cleanup.transaction.atomic, cleanup.storage.release

    @contextmanager
    def atomic() -> Iterator[None]:
        with timed(transactions), locked():
            yield

    def release(blobs: Any) -> Any:
        with timed(releases):
            return released(blobs)

    dry: list[float] = []
    with timed(dry):
        expected = cleanup.would_go(BatchJob.objects.expired())
    _replace(cleanup, "transaction", type("Timed", (), {"atomic": staticmethod(atomic)}))
    _replace(cleanup.storage, "release", release)
    whole: list[float] = []
    with timed(whole):
        gone = cleanup.remove(BatchJob.objects.expired())
    assert gone == expected, (gone, expected)
    print(f"dry run {dry[0]:.1f} s; {gone} in {whole[0]:.0f} s")
    for name, seconds in (("transaction", transactions), ("release of its bytes", releases)):
        ordered = sorted(seconds)
        print(
            f"{name}: {len(seconds)} times, median {statistics.median(seconds) * 1000:.0f} ms, "
            f"p95 {ordered[int(len(ordered) * 0.95)] * 1000:.0f} ms, "
            f"longest {ordered[-1] * 1000:.0f} ms"
        )


def _replace(module: Any, name: str, value: Callable[..., Any] | type) -> None:
    setattr(module, name, value)


if __name__ == "__main__":
    main()
