"""How long the pages that list jobs take when an installation holds many of them.

    .venv/bin/python benchmarks/job_lists.py [--database postgres] [--jobs 100000] [--runs 25]

Fills a database of its own with jobs of ten organizations, nine tenths of them in one, and asks
for that one's pages as a signed-in browser does, templates included. Prints milliseconds: the
median and the 95th percentile of the runs.
"""

import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

STATES = {  # jobs in 10 000
    "succeeded": 8780,
    "partial": 600,
    "failed": 400,
    "cancelled": 200,
    "running": 10,
    "queued": 9,
    "cancelling": 1,
}
WORDS = ["harbour", "survey", "invoice", "minutes", "letter", "contract", "ledger", "scan"]
CHUNK = 5000
RARE_NAME = "The one about the lighthouse"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=25)
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
            started = time.perf_counter()
            user = build(chosen.jobs)
            seconds = time.perf_counter() - started
            print(f"{chosen.database}: {chosen.jobs} jobs, made in {seconds:.0f} s")
            report(user, chosen.runs)


@contextmanager
def scratch_database(kind: str) -> Iterator[None]:
    """An empty database in a temporary directory, named in the environment."""
    from tests.servers import Postgres, scratch_directory

    scratch = scratch_directory()
    postgres = None
    url = f"sqlite:///{scratch / 'lists.sqlite3'}"
    try:
        if kind == "postgres":
            directory = scratch / "postgres"
            directory.mkdir(mode=0o700)
            postgres = Postgres(directory)
            postgres.start()
            url = postgres.url.removesuffix("docmill") + "postgres"
        os.environ |= {
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DOCMILL_DATA_DIR": tempfile.mkdtemp(dir=scratch),
            "ENABLE_RATE_LIMITING": "false",
            "ENV_FILE": os.devnull,
        }
        yield
    finally:
        if postgres:
            postgres.close()
        shutil.rmtree(scratch)


def build(count: int) -> Any:
    """`count` jobs of one to three files; the owner of the organization that has most of them."""
    from django.db import connection

    from apps.accounts.models import User
    from apps.accounts.services import create_organization, create_user
    from apps.jobs.models import BatchFile, BatchJob

    users = [create_user(email=f"owner{n}@example.com", password=None) for n in range(10)]
    owners = [(create_organization(name=f"Organization {u.pk}", owner=u), u) for u in users]
    chance = random.Random(1)
    for first in range(0, count, CHUNK):
        numbers = range(first, min(first + CHUNK, count))
        jobs = [job(number, count, owners, chance) for number in numbers]
        BatchJob.objects.bulk_create(jobs)
        BatchFile.objects.bulk_create([file for each in jobs for file in files(each, chance)])
    if connection.vendor == "postgresql":  # SQLite has no such habit by itself
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
    found: User = users[0]
    return found


def job(number: int, count: int, owners: list[Any], chance: random.Random) -> Any:
    from django.utils import timezone

    from apps.jobs.models import BatchJob

    organization, user = owners[0 if number % 10 else number // 10 % 9 + 1]
    state = chance.choices(list(STATES), list(STATES.values()))[0]
    created = timezone.now() - timedelta(minutes=count - number)
    total = chance.randint(1, 3)
    is_open = state in ("running", "queued", "cancelling")
    counted = {"succeeded": 0, "failed": 0, "cancelled": 0}
    if state == "partial":
        total, counted = total + 1, {"succeeded": total, "failed": 1}
    elif not is_open:
        counted = {state: total}
    name = " ".join(chance.choices(WORDS, k=3)) if number % 5 < 2 else ""
    return BatchJob(
        organization=organization,
        created_by=user,
        name=RARE_NAME if number == count // 2 + 1 else name,
        operation="ocr" if number % 8 == 0 else "extract",
        state=state,
        total=total,
        created_at=created,
        started_at=None if state == "queued" else created + timedelta(seconds=2),
        finished_at=None if is_open else created + timedelta(seconds=chance.randint(3, 900)),
        **counted,
    )


def files(job: Any, chance: random.Random) -> Iterator[Any]:
    from apps.jobs.models import BatchFile
    from apps.queue.models import Priority

    ended = [state for state, number in job.counts.items() for _ in range(number)]
    for position in range(1, job.total + 1):
        state = ended[position - 1] if ended else "queued"
        word = chance.choice(WORDS)
        yield BatchFile(
            organization=job.organization,
            job=job,
            position=position,
            name=f"{word}-{chance.randrange(10**6):06d}.pdf",
            kind="pdf",
            content_type="application/pdf",
            size_bytes=chance.randrange(10**7),
            sha256=f"{chance.getrandbits(256):064x}",
            state=state,
            lane="ocr" if job.operation == "ocr" else "default",
            priority=Priority.NORMAL,
            error_class="permanent" if state == "failed" else "",
            error_code="pdf.damaged" if state == "failed" else "",
            error_detail="The PDF is damaged." if state == "failed" else "",
            created_at=job.created_at,
            finished_at=job.finished_at,
        )


def report(user: Any, runs: int) -> None:
    """Asks for every page `runs` times and prints the table."""
    from django.test import Client

    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    use_shared_organization(client, user)
    print(f"{'page':<44} {'median ms':>10} {'p95 ms':>8} {'kB':>5}")
    for name, url in cases(user):
        spent, size = [], 0
        for _ in range(runs + 1):  # the first one is warming up
            started = time.perf_counter()
            answer = client.get(url)
            spent.append((time.perf_counter() - started) * 1000)
            assert answer.status_code == 200, (url, answer.status_code)
            size = len(answer.content)
        spent = sorted(spent[1:])
        p95 = spent[min(round(0.95 * runs), runs - 1)]
        print(f"{name:<44} {statistics.median(spent):>10.1f} {p95:>8.1f} {size / 1000:>5.0f}")


def use_shared_organization(client: Any, user: Any) -> None:
    from apps.accounts.actor import SESSION_KEY

    session = client.session
    session[SESSION_KEY] = str(biggest(user).pk)
    session.save()


def biggest(user: Any) -> Any:
    """The organization that has most of the jobs."""
    from apps.accounts.models import Organization

    return Organization.objects.visible_to(user).get(personal_of=None)


def cases(user: Any) -> list[tuple[str, str]]:
    """(what, address) of every page that is measured."""
    from urllib.parse import quote

    from rest_framework.pagination import Cursor

    from apps.jobs.models import BatchJob
    from apps.web.jobs import Pages

    jobs = BatchJob.objects.in_organization(biggest(user)).order_by("-created_at", "-id")
    middle = jobs[jobs.count() // 2]
    pages = Pages()
    pages.base_url = "/jobs"
    forward = pages.encode_cursor(Cursor(0, False, str(middle.created_at)))
    backward = pages.encode_cursor(Cursor(0, True, str(middle.created_at)))
    file = middle.files.get(position=1)
    return [
        ("jobs, first page", "/jobs"),
        ("jobs, a page in the middle", forward),
        ("jobs, a page in the middle, backwards", backward),
        ("jobs that run (2 in 1000)", "/jobs?state=running"),
        ("jobs that failed (100 in 1000)", "/jobs?state=failed"),
        ("jobs that succeeded (878 in 1000)", "/jobs?state=succeeded"),
        ("jobs that were cancelled (20 in 1000)", "/jobs?state=cancelled"),
        ("the same, from the middle", forward + "&state=cancelled"),
        ("jobs of one operation", "/jobs?operation=ocr"),
        ("search by name, many hits", "/jobs?q=harbour"),
        ("search by name, no hit in the newest 10 000", f"/jobs?q={quote(RARE_NAME)}"),
        ("search by a job's id", f"/jobs?q={middle.pk}"),
        ("search by a file's id", f"/jobs?q={file.pk}"),
        ("search by an id that is nobody's", f"/jobs?q={user.pk:032x}"),
        ("dashboard", "/"),
    ]


if __name__ == "__main__":
    main()
