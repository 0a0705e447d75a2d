"""Web server and worker as production runs them, and what they write."""

import http.client
import json
import os
import signal
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from apps.health.serving import Serving
from tests.jobs.forms import FORM_TYPE, UPLOAD, body_of, field, part
from tests.jobs.serving import Web, free_port, told
from tests.processes import BASE_DIR, MARK, Process, launch, live_database_url

Answer = tuple[int, dict[str, str], bytes]


class GranianOfUp(Web):
    """As `manage.py up` starts it: two processes, and one that looks after them."""

    def __init__(self, *, log: Path, env: dict[str, str]) -> None:
        self.arguments = ("web",)
        self.log = log
        self.mark = os.urandom(8).hex()
        self.port = free_port()
        given = {**os.environ, "PYTHONPATH": str(BASE_DIR), "PYTHONUNBUFFERED": "1", **env}
        self._popen = launch(
            Serving("127.0.0.1", self.port).command(), log=log, env={**given, MARK: self.mark}
        )


class Service:
    """`start` it with variables; `lines` are all that its processes wrote, line by line."""

    def __init__(self, folder: Path, manage: Callable[..., Process]) -> None:
        self._folder, self._manage = folder, manage
        self._processes: list[Process] = []

    def start(self, *, worker: bool = True, **env: str) -> None:
        self._env = {
            "DATABASE_URL": live_database_url(),
            "DOCMILL_DATA_DIR": str(self._folder / "data"),
            "ENVIRONMENT": "production",
            "DJANGO_SETTINGS_MODULE": "tests.logs.planted",
            "PYTHONPATH": str(BASE_DIR),
            "RETRY_BASE_SECONDS": "600",
            "EXTRA_PROCESSORS": "tests.logs.failing.BuggyProcessor",
            **env,
        }
        if worker:
            self._processes.append(self._manage("work", "--slots", "1", env=self._env))
            self._processes.append(self._manage("beat", env=self._env))
        self.web = GranianOfUp(log=self._folder / "web.log", env=self._env)
        self._processes.append(self.web)
        self.web.wait_until_ready()

    def stop(self) -> None:
        """As a service manager does: what is still to be written or sent is."""
        for process in reversed(self._processes):
            if process.is_running:
                process.send(signal.SIGTERM)
        for process in self._processes:
            process.wait(seconds=60)

    def close(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.close()

    def ask(self, verb: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.web.port, timeout=60)) as one:
            one.request(verb, path, body, given)
            return told(one.getresponse())

    def submit(self, name: str, content: bytes, **headers: str) -> dict[str, Any]:
        body = body_of([field("operation", "extract"), part(content, name)])
        _, _, answer = self.ask("POST", UPLOAD, body, Content_Type=FORM_TYPE, **headers)
        job: dict[str, Any] = json.loads(answer)
        return job

    def written(self) -> str:
        return "".join(process.output for process in self._processes)

    def lines(self) -> list[dict[str, Any]]:
        """All lines; fails where one is not an object in JSON with what each has to have."""
        found = []
        for line in self.written().splitlines():
            try:
                read = json.loads(line)
            except ValueError as error:
                raise AssertionError(
                    f"not JSON: {line[:500]!r} in {self.written()[-3000:]}"
                ) from error
            assert read.keys() >= {"timestamp", "level", "logger", "message"}, line
            found.append(read)
        return found
