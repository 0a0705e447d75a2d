"""Another installation, in processes of its own: its data directory and its database."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection

from tests.processes import BASE_DIR

SECONDS = 400
"""A busy machine takes long to start a process."""
Command = list[str | Path]

DRIVER = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from django.core.management import CommandError, call_command

def run(command):
    out, err = io.StringIO(), io.StringIO()
    status = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            call_command(*command)
    except SystemExit as ended:
        status = ended.code
    except CommandError as error:
        err.write(str(error))
        status = 1
    return [status, out.getvalue(), err.getvalue()]

for command in json.loads(sys.stdin.readline()):
    sys.__stdout__.write("TOLD " + json.dumps(run(command)) + chr(10))
    sys.__stdout__.flush()
"""


class Elsewhere:
    """Each call is a process, which does all it is given one after the other."""

    def __init__(self, data: Path, database_url: str, **env: str) -> None:
        self.data = data
        self._env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")},
            "DOCMILL_DATA_DIR": str(data),
            "DATABASE_URL": database_url,
            "SECRET_KEY": "",
            **env,
        }

    def told(self, *commands: Command) -> list[Any]:
        """What commands of manage.py print with --json; all must succeed, but for doctor."""
        told = []
        for status, out, err in self.run(*[[*each, "--json"] for each in commands]):
            assert status == 0 or out.startswith("{"), out + err
            told.append(json.loads(out))
        return told

    def refused(self, *commands: Command) -> list[str]:
        """What commands say that must not succeed."""
        done = self.run(*commands)
        assert all(status for status, _, _ in done), done
        return [err for _, _, err in done]

    def run(
        self, *commands: Command, then: str = "", ends_with: int = 0
    ) -> list[tuple[int, str, str]]:
        """The status and what was printed and told of each, and then the code `then`, whose own
        output comes last; the process must end with that status."""
        given = json.dumps([[str(word) for word in each] for each in commands])
        shell = [sys.executable, BASE_DIR / "manage.py", "shell", "-v0", "--no-imports"]
        done = subprocess.run(
            [*shell, "-c", DRIVER + then],
            input=f"{given}\n",
            env=self._env,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == ends_with, done.stdout + done.stderr
        told = [
            tuple(json.loads(line.removeprefix("TOLD ")))
            for line in done.stdout.splitlines()
            if line.startswith("TOLD ")
        ]
        if then:
            told.append((0, done.stdout.splitlines()[-1] if done.stdout else "", done.stderr))
        return told  # type: ignore[return-value]


@contextmanager
def installation(folder: Path, *, vendor: str = "", **env: str) -> Iterator[Elsewhere]:
    """An empty one on the database of this pass, or on SQLite."""
    data = folder / f"data-{uuid.uuid4().hex[:8]}"
    if (vendor or connection.vendor) == "sqlite":
        yield Elsewhere(data, f"sqlite:///{data / 'docmill.sqlite3'}", **env)
        return
    given = connection.settings_dict
    name = f"restored_{uuid.uuid4().hex[:8]}"
    admin = psycopg.connect(
        host=given["HOST"], user=given["USER"], dbname="postgres", autocommit=True
    )
    with admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        try:
            yield Elsewhere(data, f"postgres://{given['USER']}@/{given['HOST']}/{name}", **env)
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
