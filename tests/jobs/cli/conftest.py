"""Commands as a terminal sees them, and the two ways to an installation."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django.live_server_helper import LiveServer

from apps.accounts.models import Organization, User
from apps.accounts.services import create_api_key
from apps.jobs.cli import remote
from apps.queue.loop import work_once
from tests.jobs.cli.bad_way import BadWay, Fate

LANES = ["default", "ocr", "heavy"]


@dataclass(frozen=True)
class Answer:
    """What a command wrote to standard output and to standard error, and its exit code."""

    out: str
    err: str
    code: int


Run = Callable[..., Answer]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in ("DOCMILL_URL", "DOCMILL_API_KEY", "DOCMILL_DOCUMENT_PASSWORD"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object) -> Answer:
        out, err, code = StringIO(), StringIO(), 0
        try:
            call_command(*map(str, arguments), stdout=out, stderr=err)
        except CommandError as error:
            err.write(str(error))
            code = error.returncode
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Answer(out.getvalue(), err.getvalue(), code)

    return run


@pytest.fixture
def token(acme: Organization, alice: User) -> str:
    return create_api_key(organization=acme, user=alice, name="tests")[1]


@pytest.fixture
def there(live_server: LiveServer, token: str) -> list[str]:
    """Options that lead to Acme over HTTP, as Alice."""
    return ["--url", live_server.url, "--key", token]


@pytest.fixture
def here(transactional_db: None, alice: User) -> list[str]:
    """Options that lead to Alice's personal organization in the database."""
    return ["--user", alice.email]


@pytest.fixture(params=["here", "there"])
def way(request: pytest.FixtureRequest, transactional_db: None) -> list[str]:
    """Each of the two ways."""
    options: list[str] = request.getfixturevalue(request.param)
    return options


@pytest.fixture
def working(transactional_db: None) -> Iterator[None]:
    """Somebody works, in this process, on whatever is submitted."""
    done = threading.Event()

    def work() -> None:
        try:
            while not done.wait(0.05):
                work_once(LANES)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    yield
    done.set()
    worker.join()


@pytest.fixture
def inbox(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of files: name (with folders) = content."""
    folder = tmp_path / "inbox"

    def make(files: dict[str, Any]) -> Path:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    return make


@pytest.fixture
def bad_way(
    live_server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., BadWay]]:
    monkeypatch.setattr(remote, "RETRY_SECONDS", 0)
    made: list[BadWay] = []

    def make(*fates: Fate) -> BadWay:
        made.append(BadWay(live_server.url, *fates))
        return made[-1]

    yield make
    for each in made:
        each.close()
