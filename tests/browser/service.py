"""The service under test: the real `manage.py up` on a data directory of its own."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.processes import BASE_DIR, Process
from tests.servers import GENEROUS

SAMPLES = BASE_DIR / "samples"
READY = "Ctrl-C stops everything."
Files = Mapping[str, bytes | str]
SETTLED = ("succeeded", "partial", "failed", "cancelled")
PORT = "8200"
"""Where to try first; `up` takes a free one near it."""


class Service:
    """A running service: where it is, who administers it, and its API."""

    def __init__(self, process: Process, data: Path, environment: Mapping[str, str]) -> None:
        self.process = process
        self.data = data
        self._environment = environment
        self.client = httpx.Client(base_url=self.url, timeout=30)

    @property
    def url(self) -> str:
        return self._on_screen(r"Open +(http://[^/\s]+)")

    @property
    def admin(self) -> tuple[str, str]:
        """E-mail address and password of the administrator."""
        return self._on_screen(r"Sign in +(\S+)"), self._on_screen(r"Password +(\S+)")

    @property
    def web_log(self) -> str:
        return (self.data / "logs" / "web.log").read_text(errors="replace")

    def call(self, code: str) -> str:
        """What `code` prints last when `manage.py shell` runs it on the service's database."""
        done = subprocess.run(
            [sys.executable, BASE_DIR / "manage.py", "shell", "--no-imports", "-c", code],
            env=self._environment,
            cwd=BASE_DIR,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().rpartition("\n")[2]

    def stop(self) -> None:
        """As a service manager does; fails when it does not end in order."""
        assert self.process.terminate(seconds=40) == 0, self.process.output[-4000:]

    def _on_screen(self, pattern: str) -> str:
        [found] = re.findall(pattern, self.process.output)
        return str(found)


@contextmanager
def running(**settings: str) -> Iterator[Service]:
    """A service that is ready. When the block ends it is stopped and its data removed."""
    data = Path(tempfile.mkdtemp(prefix="docmill-browser-"))
    environment = {
        **os.environ,
        "DOCMILL_DATA_DIR": str(data),
        "DATABASE_URL": f"sqlite:///{data / 'docmill.sqlite3'}",
        "REDIS_URL": f"unix://{data / 'valkey' / 'valkey.sock'}",
        "ENV_FILE": os.devnull,
        "SHUTDOWN_GRACE_SECONDS": "1",
        **GENEROUS,
        **settings,
    }
    process = Process("up", "--port", PORT, "--slots", "6", log=data / "up.log", env=environment)
    try:
        process.wait_for(READY, seconds=90)
        service = Service(process, data, environment)
        with service.client:
            yield service
    finally:
        process.close()
        shutil.rmtree(data, ignore_errors=True)


class Api:
    """The API of the service through a key: one organization."""

    def __init__(self, client: httpx.Client, key: str) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}

    def submit(self, name: str, files: Files, operation: str = "extract") -> str:
        """The id of a new job with these files."""
        fields = {"operation": operation, "name": name}
        parts = [
            ("file", (each, content.encode() if isinstance(content, str) else content))
            for each, content in files.items()
        ]
        answer = self.send("POST", "/upload", data=fields, files=parts)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self._read(f"/jobs/{job_id}"))

    def jobs(self) -> list[dict[str, Any]]:
        return list(self._read("/jobs?limit=100")["results"])

    def files(self, job_id: str) -> dict[str, dict[str, Any]]:
        """The job's files by name."""
        found = self._read(f"/jobs/{job_id}/files?limit=100")["results"]
        return {file["name"]: file for file in found}

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._client.request(method, f"/api/batch{path}", headers=self._headers, **more)

    def status(self, path: str) -> int:
        return self.send("GET", path).status_code

    def wait(self, job_id: str, *states: str, seconds: float = 60) -> dict[str, Any]:
        """The job, once it is in one of `states`; without any, once it has ended."""
        wanted = states or SETTLED
        wait_until(lambda: self.job(job_id)["state"] in wanted, seconds=seconds)
        return self.job(job_id)

    def _read(self, path: str) -> Any:
        answer = self.send("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()


def wait_until(condition: Callable[[], object], *, seconds: float = 30) -> None:
    """Asks a few times a second, which leaves the machine to those who work."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.2)
