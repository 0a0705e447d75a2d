"""A PostgreSQL of one's own, which a test may stop: the other one is everybody's."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

from tests.servers import Postgres

NAME = "moved"


@contextmanager
def moved_to(postgres: Postgres, dump: Path) -> Iterator[None]:
    """The test goes on with a copy of its database on `postgres`; `dump` is a file to use."""
    before = dict(connection.settings_dict)
    url = os.environ["DATABASE_URL"]
    _copy(postgres, before["HOST"], before["NAME"], dump)
    connection.close()
    connection.settings_dict.update(HOST=str(postgres.directory), NAME=NAME, PORT="")
    os.environ["DATABASE_URL"] = postgres.url
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(before)
        os.environ["DATABASE_URL"] = url


def _copy(postgres: Postgres, host: str, name: str, dump: Path) -> None:
    there = ["-h", host, "-U", connection.settings_dict["USER"]]
    here = ["-h", str(postgres.directory), "-U", "docmill"]
    _run(postgres, "pg_dump", *there, "-f", str(dump), name)
    _run(postgres, "dropdb", *here, "--if-exists", "--force", NAME)
    _run(postgres, "createdb", *here, "-T", "template0", NAME)
    _run(postgres, "psql", *here, "-q", "-v", "ON_ERROR_STOP=1", "-f", str(dump), NAME)


def _run(postgres: Postgres, program: str, *arguments: str) -> None:
    command = [postgres.programs / program, *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
