"""Whether every list, page, claim, sweep and cleanup finds its rows by an index, among a million.

    .venv/bin/python -m benchmarks.plans [--database postgres] [--files 1000000] [--runs 5]

Fills a database of its own as tests/volume.py does, then goes each way: the milliseconds of its
statements, the median of the runs, and what the database reads through or sorts. Exits with 1 where
there is any of that.
"""

import argparse
import logging
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.job_lists import scratch_database
from benchmarks.stage import markdown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    with scratch_database(chosen.database):
        import django
        from django.conf import settings
        from django.core.management import call_command
        from django.test import override_settings

        django.setup()
        call_command("migrate", verbosity=0)
        logging.disable(logging.WARNING)
        plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
        storages = settings.STORAGES | {"staticfiles": plain}
        with override_settings(STORAGES=storages, ALLOWED_HOSTS=["*"]):
            sys.exit(report(build(chosen.files), chosen.runs))


def build(files: int) -> Any:
    """The world with so many files in it."""
    from django.test import Client
    from rest_framework.test import APIClient

    from apps.accounts.actor import SESSION_KEY
    from apps.accounts.services import create_api_key, create_organization, create_user
    from tests.operators import superuser
    from tests.volume import World, fill

    user = create_user(email="owner@example.com", password=None, name="Owner")
    organization = create_organization(name="Bench", owner=user)
    began = time.perf_counter()
    job, file = fill(files, organization, user)
    print(f"{files} files, made in {time.perf_counter() - began:.0f} s; {size(files)}\n")
    api, browser = APIClient(), Client()
    _, token = create_api_key(organization=organization, user=user, name="bench")
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    browser.force_login(user)
    session = browser.session
    session[SESSION_KEY] = str(organization.pk)
    session.save()
    return World(organization, user, job, file, api, browser, superuser())


def size(files: int) -> str:
    """Of the database, for each thousand files."""
    from django.db import connection

    of_sqlite = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    of_postgres = "SELECT pg_database_size(current_database())"
    with connection.cursor() as cursor:
        cursor.execute(of_sqlite if connection.vendor == "sqlite" else of_postgres)
        [(total,)] = cursor.fetchall()
    return f"{total / files * 1000 / 1e6:.1f} MB of database for 1000 files"


def report(world: Any, runs: int) -> int:
    from tests.volume import faults_of, ways

    rows, status = [], 0
    for name, work in ways(world).items():
        faults = faults_of(work)
        spent, count = timed(work, runs)
        rows.append((name, f"{count}", f"{spent:.1f}", "; ".join(each[:80] for each in faults)))
        status = status or bool(faults)
    print(markdown(("what", "statements", "ms in the database", "reads through or sorts"), rows))
    return int(status)


def timed(work: Callable[[], object], runs: int) -> tuple[float, int]:
    """Milliseconds in the database, and statements; what it changes is taken back."""
    from django.db import connection, transaction

    spent: list[float] = []
    count = 0

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal count
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            spent[-1] += (time.perf_counter() - began) * 1000
            count += 1

    for _ in range(runs):
        spent.append(0.0)
        count = 0
        with transaction.atomic(), connection.execute_wrapper(watch):
            work()
            transaction.set_rollback(True)
    return statistics.median(spent), count


if __name__ == "__main__":
    main()
