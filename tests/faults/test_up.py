"""`manage.py up` with real processes: what it starts, and that nothing of it is ever left."""

import http.client
import json
import os
import re
import signal
import socket
import stat
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.data.make.bombs import pdf_with_stream, png_of_side, xlsx_of_rows, zip_of_zeros
from tests.processes import BASE_DIR, Process, eventually

# It brings its own database and Valkey: the same in every pass.
pytestmark = [pytest.mark.once, pytest.mark.timeout(180)]

READY = "Ctrl-C stops everything."
NOTHING_LEFT_SECONDS = 5.0


class Up:
    """A running `up` on a data directory of its own."""

    def __init__(self, data: Path, log: Path, *, port: int, env: dict[str, str]) -> None:
        self.data = data
        self.socket = data / "valkey" / "valkey.sock"
        self.wished_port = port
        self.process = Process(
            *("up", "--port", str(port)),
            log=log,
            env={
                "DOCMILL_DATA_DIR": str(data),
                "DATABASE_URL": f"sqlite:///{data / 'docmill.sqlite3'}",
                "REDIS_URL": f"unix://{self.socket}",
                "SHUTDOWN_GRACE_SECONDS": "3",
                **env,
            },
        )

    def wait_until_ready(self) -> "Up":
        self.process.wait_for(READY, seconds=60)
        return self

    @property
    def url(self) -> str:
        [url] = re.findall(r"Open +(http://[^/\s]+)", self.process.output)
        return str(url)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def health(self) -> dict[str, object]:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                body: dict[str, object] = json.load(answer)
                return body
        except (OSError, http.client.HTTPException):
            return {}

    def wait_until_healthy(self) -> None:
        """Ready is earlier: the web server answers while workers may still be starting."""
        eventually(lambda: self.health().get("status") == "healthy")

    def pids(self) -> list[int]:
        """Everything it started. Valkey hides its environment, but shows its socket."""
        return [*self.process.descendants(), *_pids_with(f"unixsocket:{self.socket}")]

    def pids_of(self, text: str) -> list[int]:
        """Those whose own command line holds `text`."""
        return [pid for pid in self.pids() if text in _command(pid)]

    def main_pid_of(self, text: str) -> int:
        """The one that the keeper started: its parent is a keeper."""
        [pid] = [pid for pid in self.pids_of(text) if "keeper.py" in _command(_parent(pid))]
        return pid

    def assert_nothing_left(self) -> None:
        eventually(lambda: not self.pids(), seconds=NOTHING_LEFT_SECONDS)
        assert is_free(self.port)
        assert not self.socket.exists()


def _command(pid: int) -> str:
    """Without the keepers, whose command line holds that of what they keep."""
    with suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        return "keeper.py" if "keeper.py" in command else command
    return ""


def _pids_with(text: str) -> list[int]:
    entries = Path("/proc").glob("[0-9]*")
    return [int(entry.name) for entry in entries if text in _command(int(entry.name))]


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def is_free(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        number: int = taken.getsockname()[1]
        return number


@pytest.fixture
def directory() -> Iterator[Path]:
    """With a path that is short enough for a socket, which pytest's own may not be."""
    with tempfile.TemporaryDirectory(prefix="docmill-up-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture
def start(directory: Path) -> Iterator[Callable[..., Up]]:
    """Starts `up` in `directory / "data"`, each time on the same port."""
    started: list[Up] = []
    port = free_port()

    def make(env: dict[str, str] | None = None) -> Up:
        log = directory / f"{len(started)}.log"
        up = Up(directory / "data", log, port=port, env=env or {})
        started.append(up)
        return up

    yield make
    for up in reversed(started):
        up.process.close()


@pytest.fixture(scope="module")
def first_run() -> Iterator[Up]:
    """One that found a taken port and a stale socket. Leave it in health: others use it, too."""
    with (
        tempfile.TemporaryDirectory(prefix="docmill-up-") as name,
        socket.create_server(("127.0.0.1", 0)) as taken,
        socket.socket(socket.AF_UNIX) as stale,
    ):
        data = Path(name) / "data"
        (data / "valkey").mkdir(parents=True)
        stale.bind(str(data / "valkey" / "valkey.sock"))
        up = Up(data, Path(name) / "up.log", port=taken.getsockname()[1], env={})
        try:
            up.wait_until_ready()
            yield up
            os.killpg(up.process.pid, signal.SIGINT)  # as a terminal does for Ctrl-C
            assert up.process.wait() == 0
            up.assert_nothing_left()
            assert up.process.output.rstrip().endswith("Stopped.")
            assert "Traceback" not in up.process.output
            assert "Warm shutdown" in (data / "logs" / "worker.log").read_text()
        finally:
            up.process.close()


def test_first_run_serves_and_can_be_used(first_run: Up) -> None:
    first_run.wait_until_healthy()
    [email] = re.findall(r"Sign in +(\S+)", first_run.process.output)
    [password] = re.findall(r"Password +(\S+)", first_run.process.output)
    assert email.count("@") == 1
    assert len(password) >= 16
    key = first_run.data / "api_key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(first_run.socket.parent.stat().st_mode) == 0o700
    page = urllib.request.urlopen(f"{first_run.url}/").read().decode()
    [style] = re.findall(r'href="(/static/web/app\.[^"]+)"', page)
    assert urllib.request.urlopen(first_run.url + style).status == 200


def test_another_port_when_the_wished_one_is_taken(first_run: Up) -> None:
    assert first_run.port != first_run.wished_port
    told = f"Port {first_run.wished_port} is taken, using {first_run.port}."
    assert told in first_run.process.output


def test_one_per_data_directory(first_run: Up, directory: Path) -> None:
    second = Up(first_run.data, directory / "second.log", port=free_port(), env={})
    try:
        assert second.process.wait() == 1
    finally:
        second.process.close()
    assert f"pid {first_run.process.pid}, {first_run.url}" in second.process.output
    first_run.wait_until_healthy()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("web", "granian"),
        ("worker", "manage.py work --lanes default,ocr,heavy"),
        ("background", "manage.py work --lanes email"),
        ("beat", "manage.py beat"),
        ("valkey", "valkey-server"),
    ],
)
def test_a_child_that_dies_is_started_again(first_run: Up, name: str, text: str) -> None:
    first_run.wait_until_healthy()
    before, told = (
        set(first_run.pids_of(text)),
        f"{name} ended (killed by SIGKILL); starting it again",
    )
    deaths = first_run.process.output.count(told)  # of another test
    os.kill(first_run.main_pid_of(text), signal.SIGKILL)
    eventually(lambda: first_run.process.output.count(told) == deaths + 1)
    eventually(lambda: not before & set(first_run.pids_of(text)))  # nor what it had started
    eventually(lambda: len(first_run.pids_of(text)) >= len(before))
    first_run.wait_until_healthy()


def _memory(pids: list[int]) -> int:
    """Bytes that the processes hold, what they share counted once (PSS)."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.findall(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)[0]) * 1024
    return total


def test_bombs_hurt_nobody_beside_them(first_run: Up, directory: Path) -> None:
    """Four bombs and twenty good files in one batch, on all of a fresh installation."""
    first_run.wait_until_healthy()
    bombs = [make(directory) for make in (zip_of_zeros, pdf_with_stream, png_of_side, xlsx_of_rows)]
    good = sorted((BASE_DIR / "tests" / "data").glob("[b-l]*.*"))[:20]
    assert len(good) == 20
    files = [("file", (path.name, path.read_bytes())) for path in (*bombs, *good)]
    key = (first_run.data / "api_key").read_text().strip()
    with httpx.Client(
        base_url=first_run.url, headers={"Authorization": f"Bearer {key}"}, timeout=60
    ) as client:
        job = client.post("/api/batch/upload", files=files).raise_for_status().json()
        peak = 0
        while job["state"] not in ("succeeded", "partial", "failed"):
            peak = max(peak, _memory(first_run.pids()))
            time.sleep(0.1)
            job = client.get(job["url"]).raise_for_status().json()
        listed = client.get(job["files_url"], params={"limit": 100}).raise_for_status().json()
    ends = {row["name"]: (row["state"], row["error"]) for row in listed["results"]}
    for bomb in bombs:
        state, error = ends[bomb.name]
        assert state in ("failed", "rejected")
        assert error["code"] == "document.bomb"
    assert {ends[path.name][0] for path in good} == {"succeeded"}
    assert job["state"] == "partial"
    assert 0 < peak < 2 * 1024**3
    first_run.wait_until_healthy()


def test_a_killed_keeper_takes_its_command_along(first_run: Up) -> None:
    eventually(lambda: len(first_run.pids_of("granian")) == 3)
    before = set(first_run.pids_of("granian"))
    os.kill(_parent(first_run.main_pid_of("granian")), signal.SIGKILL)
    eventually(lambda: not before & set(first_run.pids_of("granian")), seconds=5)
    first_run.wait_until_healthy()


def test_killed_leaves_nothing_and_starts_again_as_before(start: Callable[..., Up]) -> None:
    up = start().wait_until_ready()
    eventually(lambda: len(up.pids_of("granian")) == 3)
    eventually(lambda: len(up.pids_of("manage.py work")) == 2 + 5)
    key = (up.data / "api_key").read_text()
    up.process.kill()
    up.assert_nothing_left()

    again = start(env={"SHUTDOWN_GRACE_SECONDS": "60"}).wait_until_ready()
    again.wait_until_healthy()
    assert again.port == up.port
    assert "Password" not in again.process.output
    assert (up.data / "api_key").read_text() == key
    _second_signal_does_not_wait_for_the_grace(again)


def _second_signal_does_not_wait_for_the_grace(up: Up) -> None:
    os.kill(
        up.main_pid_of("manage.py work --lanes default"), signal.SIGSTOP
    )  # will not end when asked
    up.process.send(signal.SIGTERM)
    eventually(lambda: not up.pids_of("granian") and not up.pids_of("manage.py beat"))
    time.sleep(1)
    assert up.process.is_running
    assert up.pids_of("valkey-server"), "the broker goes after the workers"
    up.process.send(signal.SIGTERM)
    assert up.process.wait(seconds=8) == 1
    up.assert_nothing_left()


def test_stop_before_it_is_ready(start: Callable[..., Up]) -> None:
    up = start()
    up.process.wait_for(up.socket.exists)
    assert up.process.terminate(seconds=20) == 0
    eventually(lambda: not up.pids(), seconds=NOTHING_LEFT_SECONDS)
    assert not up.socket.exists()
    assert READY not in up.process.output


def test_a_database_that_is_away_is_said_plainly(start: Callable[..., Up]) -> None:
    up = start(env={"DATABASE_URL": "postgres://nobody:hunter2@127.0.0.1:1/none"})
    assert up.process.wait(seconds=30) == 1
    assert "The database does not answer" in up.process.output
    assert "Traceback" not in up.process.output
    assert "hunter2" not in up.process.output
    assert not up.pids()
