"""The real web server, as `manage.py up` starts it, on the test's own database and directory."""

import http.client
import os
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path

from tests.jobs.forms import FORM_TYPE, UPLOAD, body_of
from tests.jobs.parts import PART_TYPE, UPLOADS, named
from tests.processes import BASE_DIR, MARK, Process, eventually, launch, live_database_url

TRACES = ("Traceback", "ERROR", "unhandled")


class Web(Process):
    """Granian with one worker process. `key` is shown by every request."""

    key = ""
    application = "config.asgi:application"

    def __init__(self, *, log: Path, data_dir: Path, env: Mapping[str, str]) -> None:
        self.arguments = ("web",)
        self.log = log
        self.mark = os.urandom(8).hex()
        self.port = free_port()
        options = f"--interface asginl --port {self.port} --workers 1 --no-ws"
        own = {
            "DATABASE_URL": live_database_url(),
            "DOCMILL_DATA_DIR": str(data_dir),
            "PYTHONUNBUFFERED": "1",
            MARK: self.mark,
        }
        self._popen = launch(
            [sys.executable, "-m", "granian", *options.split(), self.application],
            log=log,
            env={**os.environ, **own, "PYTHONPATH": str(BASE_DIR), **env},
        )

    def wait_until_ready(self) -> "Web":
        self.wait_for(self.is_serving)
        return self

    def is_serving(self) -> bool:
        with suppress(OSError, http.client.HTTPException), closing(self.connect()) as connection:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        return False

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(
        self, verb: str, path: str, content: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers with lower-case names, and body; `headers` have _ for -."""
        known = {"Authorization": f"Bearer {self.key}"}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(self.connect()) as connection:
            connection.request(verb, path, content, known | given)
            return told(connection.getresponse())

    def submit(self, *parts: bytes) -> tuple[int, dict[str, str], bytes]:
        body = body_of(parts)
        with closing(self.connect()) as connection:
            connection.request("POST", UPLOAD, body, self.headers(len(body)))
            return told(connection.getresponse())

    def begin(self, chunks: Iterable[bytes], length: int | None, **more: str) -> socket.socket:
        """Opens a submission of `length` bytes (chunked when None) and sends `chunks` of it."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        names = {**self.headers(length), **more}
        head = "".join(f"{name}: {value}\r\n" for name, value in names.items())
        client.sendall(f"POST {UPLOAD} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
        for chunk in chunks:
            client.sendall(chunk)
        return client

    def begin_upload(self, content: bytes) -> str:
        """The path of a new upload in parts, for `content`."""
        _, headers, body = self.ask(
            "POST", UPLOADS, Upload_Length=str(len(content)), Upload_Metadata=named("a.txt")
        )
        assert "location" in headers, body
        return headers["location"].partition(str(self.port))[2]

    def begin_part(self, path: str, offset: int, sent: bytes, length: int) -> socket.socket:
        """Opens a part of `length` bytes and sends these of it."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        head = {**self.headers(length), "Content-Type": PART_TYPE, "Upload-Offset": str(offset)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        client.sendall(f"PATCH {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode())
        client.sendall(sent)
        return client

    def add(self, path: str, offset: int, part: bytes) -> tuple[int, dict[str, str], bytes]:
        return self.ask("PATCH", path, part, Upload_Offset=str(offset), Content_Type=PART_TYPE)

    def offset_of(self, path: str) -> int:
        return int(self.ask("HEAD", path)[1]["upload-offset"])

    def headers(self, length: int | None) -> dict[str, str]:
        how = {"Content-Length": str(length)}
        if length is None:
            how = {"Transfer-Encoding": "chunked"}
        return {"Authorization": f"Bearer {self.key}", "Content-Type": FORM_TYPE, **how}

    def kill_all(self) -> None:
        """SIGKILL to the server's worker and its parent at once."""
        pids = self.descendants()
        for pid in (self.pid, *pids):
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        self._popen.wait()
        eventually(lambda: not self.descendants())

    def rss_bytes(self) -> int:
        """Resident memory of the largest of its processes."""
        return max((rss_of(pid) for pid in (self.pid, *self.descendants())), default=0)

    def assert_no_trouble(self) -> None:
        """No error and no traceback was written."""
        assert not [line for line in self.output.splitlines() if any(t in line for t in TRACES)]


def told(answer: http.client.HTTPResponse) -> tuple[int, dict[str, str], bytes]:
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return answer.status, headers, answer.read()


def answer_of(client: socket.socket) -> http.client.HTTPResponse:
    answer = http.client.HTTPResponse(client)
    answer.begin()
    return answer


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def rss_of(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0
