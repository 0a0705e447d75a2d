"""How long the board of the queue takes when an installation holds a million attempts.

    .venv/bin/python -m benchmarks.board [--database postgres] [--attempts 1000000] [--runs 50]

Fills a database of its own: a fifth as many files as attempts, of which one in ten waits, a file on
every slot of 40 workers, 40 pauses, and 30 days of ends. Counts them as beat does, then asks for
the board as a signed-in browser does, template included. Prints milliseconds and queries.
"""

import argparse
import statistics
import time
import uuid
from datetime import timedelta
from typing import Any

from benchmarks.job_lists import scratch_database

BOARD = "/admin/queue/board/"
WORKERS, SLOTS, PAUSES = 40, 3, 40
JOBS = 20
DAYS = 30
AIM_MS = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--attempts", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=50)
    chosen = parser.parse_args()
    with scratch_database(chosen.database):
        import django
        from django.conf import settings
        from django.core.management import call_command
        from django.test import override_settings

        django.setup()
        plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
        with override_settings(STORAGES=settings.STORAGES | {"staticfiles": plain}):
            call_command("migrate", verbosity=0)
            print(f"{chosen.database}: made in {timed(lambda: build(chosen.attempts)):.0f} s")
            count()
            report(chosen.runs)


def timed(work: Any) -> float:
    """Seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def build(attempts: int) -> None:
    from django.db import connection
    from django.utils import timezone

    from apps.accounts.models import User
    from apps.accounts.services import create_organization, create_user
    from apps.queue.models import Pause, PeriodicRun, WorkerNode

    now = timezone.now()
    user: User = create_user(
        email="root@example.com", password=None, is_staff=True, is_superuser=True
    )
    owners = [create_organization(name=f"Organization {n}", owner=user) for n in range(PAUSES)]
    for number, owner in enumerate(owners):
        Pause.objects.create(organization=owner, reason=f"Reason {number}", paused_by=user)
    PeriodicRun.objects.create(name="sweep", started_at=now)
    workers = WorkerNode.objects.bulk_create(
        WorkerNode(id=uuid.uuid4(), host=f"mill{n}", pid=n, lanes=["default"], slots=SLOTS)
        for n in range(WORKERS)
    )
    for number in range(JOBS):
        file = file_of(owners[number], workers[number].pk)
        copy_files(file, attempts // 5 // JOBS)
        copy_attempts(attempt_at(file), attempts // JOBS, offset=number / JOBS)
    running(workers)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def file_of(owner: Any, worker_id: uuid.UUID) -> Any:
    """A file in a job of its own."""
    from django.utils import timezone

    from apps.jobs.models import BatchFile, BatchJob

    return BatchFile.objects.create(
        organization=owner,
        job=BatchJob.objects.create(organization=owner, operation="extract", total=1),
        position=1,
        name="harbour-log.pdf",
        kind="pdf",
        lane="default",
        state="succeeded",
        worker_id=worker_id,
        finished_at=timezone.now(),
    )


def attempt_at(file: Any) -> Any:
    from apps.jobs.models import FileAttempt

    return FileAttempt.objects.create(
        row=file,
        run=1,
        number=1,
        lease_token=uuid.uuid4(),
        worker_id=file.worker_id,
        lane="default",
        ended_at=file.finished_at,
        outcome="succeeded",
    )


def copy_files(template: Any, count: int) -> None:
    """One in ten waits: half of those in the lane `ocr`, some for a retry, some held back."""
    insert(
        template,
        count,
        {
            "id": new_id(),
            "position": "n + 1",
            "lane": "CASE WHEN n % 20 = 0 THEN 'ocr' ELSE 'default' END",
            "state": "CASE WHEN n % 100 = 10 THEN 'retry_wait' WHEN n % 10 = 0 THEN 'queued' "
            "ELSE 'succeeded' END",
            "is_held": "n % 200 = 20",
        },
    )


def copy_attempts(template: Any, count: int, *, offset: float) -> None:
    """Evenly over the days; `offset` tells those of different jobs apart, in parts of a step."""
    step = DAYS * 86400 / count
    ended = f"(n + {offset}) * {step}"
    insert(
        template,
        count,
        {
            "id": new_id(),
            "lease_token": new_id(),
            "ended_at": ago(ended),
            "started_at": ago(f"{ended} + 1 + n % 7"),
            "outcome": "CASE WHEN n % 50 = 0 THEN 'failed' WHEN n % 30 = 0 THEN 'retry' "
            "ELSE 'succeeded' END",
        },
    )


def running(workers: list[Any]) -> None:
    """A file with its attempt on every slot."""
    from django.utils import timezone

    from apps.jobs.models import BatchFile

    files = list(BatchFile.objects.filter(state="succeeded")[: WORKERS * SLOTS])
    for number, file in enumerate(files):
        file.state, file.stage, file.progress = "running", "reading", 0.5
        file.lease_token, file.lease_expires_at = uuid.uuid4(), timezone.now() + timedelta(hours=1)
        file.worker_id = workers[number % WORKERS].pk
        file.save()
        attempt = attempt_at(file)
        attempt.lease_token, attempt.ended_at, attempt.outcome = file.lease_token, None, ""
        attempt.save()


def insert(template: Any, count: int, own: dict[str, str]) -> None:
    """`count` rows like `template`; `own` columns are expressions in n, which counts from 1."""
    from django.db import connection

    table = template._meta.db_table
    names = [field.column for field in template._meta.concrete_fields]
    values = ", ".join(own.get(name, f"t.{name}") for name in names)
    numbers = f"generate_series(1, {count}) AS g(n)"
    if connection.vendor == "sqlite":
        numbers = (
            "(WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g "
            f"WHERE n < {count}) SELECT n FROM g)"
        )
    pk = template._meta.pk.get_db_prep_value(template.pk, connection)
    with connection.cursor() as cursor:
        sql = f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} t, {numbers}"
        cursor.execute(sql.replace("%", "%%") + " WHERE t.id = %s", [pk])


def new_id() -> str:
    from django.db import connection

    if connection.vendor == "postgresql":
        return "gen_random_uuid()"
    return "LOWER(HEX(RANDOMBLOB(16)))"


def ago(seconds: str) -> str:
    """The time so many seconds (an expression) before now."""
    from django.db import connection

    if connection.vendor == "postgresql":
        return f"NOW() - MAKE_INTERVAL(secs => {seconds})"
    return f"STRFTIME('%Y-%m-%d %H:%M:%f', 'now', '-' || ({seconds}) || ' seconds')"


def count() -> None:
    """Has all ends counted, a round after the other, and checks that none is missing."""
    from django.db.models import Sum

    from apps.jobs.models import FileAttempt
    from apps.queue.models import Throughput
    from apps.queue.throughput import roll_up

    hours = Throughput.objects.filter(size=Throughput.Size.HOUR)
    ended = FileAttempt.objects.exclude(ended_at=None).count()
    rounds: list[float] = []
    while hours.aggregate(Sum("count"))["count__sum"] != ended:
        assert len(rounds) < 100, "the counts do not come to the number of attempts"
        rounds.append(timed(roll_up))
    print(f"counted {ended:,} ends in {len(rounds)} rounds, {sum(rounds):.1f} s")
    print(f"one round more: {timed(roll_up) * 1000:.0f} ms")


def report(runs: int) -> None:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from apps.accounts.models import User
    from apps.queue.models import WorkerNode

    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.get(email="root@example.com"))
    assert WorkerNode.objects.count() == WORKERS
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(BOARD)
    sent = list(queries)  # the next request forgets them
    assert answer.status_code == 200, answer.status_code
    before = time.process_time()
    spent = sorted(timed(lambda: client.get(BOARD)) * 1000 for _ in range(runs))
    own = (time.process_time() - before) / runs * 1000
    p95 = spent[min(round(0.95 * runs), runs - 1)]
    slowest = max(sent, key=lambda query: float(query["time"]))
    size = len(answer.content) / 1000
    print(f"board: median {statistics.median(spent):.0f} ms, p95 {p95:.0f} ms (aim {AIM_MS} ms),")
    print(f"{own:.0f} ms of it on the processor of this process, mean;")
    print(f"{len(sent)} queries, the slowest {slowest['time']} s, {size:.0f} kB")


if __name__ == "__main__":
    main()
