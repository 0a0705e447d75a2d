"""`manage.py up` with real processes: what it starts, and that nothing of it is ever left."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import stat
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.processes import Process, eventually

# It brings its own database and Valkey: the same in every pass.
pytestmark = [pytest.mark.once, pytest.mark.xdist_group("up"), pytest.mark.timeout(180)]

READY = "Ctrl-C stops everything."
NOTHING_LEFT_SECONDS = 5.0


class Up:
    """A running `up` on a data directory of its own."""

    def __init__(self, data: Path, log: Path, *arguments: str, port: int, env: dict[str, str]):
        self.data = data
        self.socket = data / "valkey" / "valkey.sock"
        self.wished_port = port
        self.process = Process(
            *("up", "--port", str(port), *arguments),
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

    def pids_of(self, text: str) -> list[int]:
        """Processes of this `up` whose command line begins with `text` after the interpreter."""
        return [pid for pid in self.process.descendants() if text in _command(pid)]

    def main_pid_of(self, text: str) -> int:
        """The one that the keeper started: its parent is a keeper."""
        [pid] = [pid for pid in self.pids_of(text) if "keeper.py" in _command(_parent(pid))]
        return pid

    def assert_nothing_left(self) -> None:
        eventually(lambda: not self.process.descendants(), seconds=NOTHING_LEFT_SECONDS)
        assert is_free(self.port)
        assert not self.socket.exists()


def _command(pid: int) -> str:
    """Without the keepers, whose command line holds that of what they keep."""
    with suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        return "keeper.py" if "keeper.py" in command else command
    return ""


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def is_free(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
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


@pytest.fixture(scope="module")
def used_data() -> Iterator[Path]:
    """A data directory on which `up` ran before, to be copied: the first run takes longer."""
    with tempfile.TemporaryDirectory(prefix="docmill-up-") as name:
        data = Path(name) / "data"
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        up = Up(data, Path(name) / "up.log", port=port, env={})
        try:
            up.wait_until_ready()
            assert up.process.terminate() == 0
        finally:
            up.process.close()
        yield data


@pytest.fixture
def start(directory: Path, free_port: int) -> Iterator[Callable[..., Up]]:
    """Starts `up` in `directory / "data"`; `start("--slots", "1", env={...})`."""
    started: list[Up] = []

    def make(*arguments: str, port: int = free_port, env: dict[str, str] | None = None) -> Up:
        log = directory / f"{len(started)}.log"
        up = Up(directory / "data", log, *arguments, port=port, env=env or {})
        started.append(up)
        return up

    yield make
    for up in reversed(started):
        up.process.close()


@pytest.fixture
def start_again(used_data: Path, directory: Path, start: Callable[..., Up]) -> Callable[..., Up]:
    """As `start`, on a data directory that was used before."""
    shutil.copytree(used_data, directory / "data")
    return start


def test_first_run_serves_and_can_be_used(start: Callable[..., Up]) -> None:
    up = start().wait_until_ready()
    assert up.health()["status"] == "healthy"
    [email, password] = re.findall(r"(?:Sign in|Password) +(\S+)", up.process.output)
    assert email.count("@") == 1
    assert len(password) >= 16
    key = up.data / "api_key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(up.socket.parent.stat().st_mode) == 0o700
    page = urllib.request.urlopen(f"{up.url}/admin/login/").read().decode()
    [style] = re.findall(r'href="(/static/admin/css/base\.[^"]+)"', page)
    assert urllib.request.urlopen(up.url + style).status == 200
    assert up.process.terminate() == 0
    up.assert_nothing_left()
    assert up.process.output.rstrip().endswith("Stopped.")


def test_second_run_prints_no_password_and_keeps_the_key(start_again: Callable[..., Up]) -> None:
    up = start_again()
    key = (up.data / "api_key").read_text()
    up.wait_until_ready()
    assert "Password" not in up.process.output
    assert (up.data / "api_key").read_text() == key


def test_ctrl_c_in_the_terminal_stops_everything_in_order(start_again: Callable[..., Up]) -> None:
    up = start_again().wait_until_ready()
    os.killpg(up.process.pid, signal.SIGINT)
    assert up.process.wait(seconds=20) == 0
    up.assert_nothing_left()
    assert "Traceback" not in up.process.output
    assert "Warm shutdown" in (up.data / "logs" / "worker.log").read_text()


def test_stop_before_it_is_ready(start_again: Callable[..., Up]) -> None:
    up = start_again()
    up.process.wait_for(up.socket.exists)
    assert up.process.terminate(seconds=20) == 0
    eventually(lambda: not up.process.descendants(), seconds=NOTHING_LEFT_SECONDS)
    assert not up.socket.exists()
    assert READY not in up.process.output


def test_a_second_signal_does_not_wait_for_the_grace(start_again: Callable[..., Up]) -> None:
    up = start_again(env={"SHUTDOWN_GRACE_SECONDS": "60"}).wait_until_ready()
    os.kill(up.main_pid_of("manage.py work"), signal.SIGSTOP)  # will not end when asked
    up.process.send(signal.SIGTERM)
    eventually(lambda: not up.pids_of("granian"))
    time.sleep(1)
    assert up.process.is_running
    up.process.send(signal.SIGTERM)
    assert up.process.wait(seconds=8) == 1
    up.assert_nothing_left()


def test_killed_up_leaves_nothing(start_again: Callable[..., Up]) -> None:
    up = start_again().wait_until_ready()
    assert len(up.pids_of("granian")) == 3
    assert len(up.pids_of("manage.py work")) == 4
    up.process.kill()
    up.assert_nothing_left()


def test_starts_again_after_it_was_killed(start_again: Callable[..., Up]) -> None:
    up = start_again().wait_until_ready()
    up.process.kill()
    up.assert_nothing_left()
    again = start_again().wait_until_ready()
    assert again.health()["status"] == "healthy"
    assert again.port == up.port


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("web", "granian"),
        ("worker", "manage.py work"),
        ("beat", "manage.py beat"),
        ("valkey", "valkey-server"),
    ],
)
def test_a_child_that_dies_is_started_again(
    start_again: Callable[..., Up], name: str, text: str
) -> None:
    up = start_again().wait_until_ready()
    before = set(up.pids_of(text))
    os.kill(up.main_pid_of(text), signal.SIGKILL)
    up.process.wait_for(f"{name} ended (killed by SIGKILL); starting it again in 1 s")
    eventually(lambda: len(up.pids_of(text)) >= len(before))
    assert not before & set(up.pids_of(text)), "what the dead one had started lives on"
    eventually(lambda: up.health().get("status") == "healthy")
    assert up.process.terminate() == 0
    up.assert_nothing_left()


def test_a_killed_keeper_takes_its_command_along(start_again: Callable[..., Up]) -> None:
    up = start_again().wait_until_ready()
    before = set(up.pids_of("manage.py work"))
    os.kill(_parent(up.main_pid_of("manage.py work")), signal.SIGKILL)
    up.process.wait_for("worker ended (killed by SIGKILL)")
    eventually(lambda: len(up.pids_of("manage.py work")) == len(before))
    assert not before & set(up.pids_of("manage.py work"))


def test_one_per_data_directory(start_again: Callable[..., Up]) -> None:
    first = start_again().wait_until_ready()
    second = start_again()
    assert second.process.wait() == 1
    assert f"pid {first.process.pid}, {first.url}" in second.process.output
    assert first.health()["status"] == "healthy"


def test_another_port_when_the_wished_one_is_taken(
    start_again: Callable[..., Up], free_port: int
) -> None:
    with socket.create_server(("127.0.0.1", free_port)):
        up = start_again().wait_until_ready()
        assert up.port != free_port
        assert f"Port {free_port} is taken, using {up.port}." in up.process.output
        assert up.health()["status"] == "healthy"


def test_a_stale_socket_is_replaced(start_again: Callable[..., Up], directory: Path) -> None:
    path = directory / "data" / "valkey" / "valkey.sock"
    path.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    up = start_again().wait_until_ready()
    assert up.health()["status"] == "healthy"


def test_a_database_that_is_away_is_said_plainly(start: Callable[..., Up]) -> None:
    up = start(env={"DATABASE_URL": "postgres://nobody:hunter2@127.0.0.1:1/none"})
    assert up.process.wait(seconds=30) == 1
    assert "The database does not answer" in up.process.output
    assert "Traceback" not in up.process.output
    assert "hunter2" not in up.process.output
    assert not up.process.descendants()
