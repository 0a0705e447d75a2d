"""`manage.py up`: the whole service on this machine, in the foreground, until it is stopped."""

import http.client
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import OperationalError, connections

from apps.core.logs import JSON, as_line
from apps.health import embedded, first_run
from apps.health.console import Console, Shape
from apps.health.instance import Instance, Port
from apps.health.screen import Admin, ready_screen
from apps.health.serving import Serving
from apps.health.supervisor import Child, StopSignals, Supervisor
from apps.jobs.models import BatchFile, BatchJob

READY_SECONDS = 60.0
BROKER_SECONDS = 10.0
FILE_LANES = ("default", "ocr", "heavy")
BACKGROUND_SLOTS = 2
"""For all other lanes, in a worker of their own: files never wait for them, nor they for files."""


class CannotStart(Exception):
    """Why `up` gives up; the text is for the operator."""


class _Stopped(Exception):
    """Somebody asked to stop before everything was up."""


@dataclass(frozen=True)
class Wish:
    """What the command line asked for."""

    host: str
    port: int
    samples: Path | None
    slots: int


class Up:
    """One run of `up`: prepares, starts the children, shows the way in, watches."""

    def __init__(self, wish: Wish, instance: Instance, port: Port, supervisor: Supervisor) -> None:
        self.wish = wish
        self.instance = instance
        self.port = port
        self.supervisor = supervisor
        self.console = supervisor.console
        self.signals = supervisor.signals
        self.data = settings.DOCMILL_DATA_DIR

    def run(self) -> None:
        """Returns when asked to stop. Raises CannotStart."""
        try:
            admin = self._prepare()
            self._start_children()
            self._wait_until_ready()
            self.instance.tell(url=self.port.url)
            self._submit_samples(admin)
        except _Stopped:
            return
        self._say_ready(admin)
        connections.close_all()
        self.console.is_open_to_children = True
        while not self.signals.is_asked:
            self.supervisor.tend()
            self.signals.pause(1.0)

    def _say_ready(self, admin: Admin | None) -> None:
        if settings.LOG_FORMAT == JSON:
            who = f" Give {admin.email} a password: manage.py changepassword." if admin else ""
            self.console.say(f"Docmill is ready at {self.port.url}/.{who}")
            return
        self.console.say(
            ready_screen(
                url=self.port.url,
                admin=admin,
                key_file=self.data / "api_key",
                file_id=_some_file_with_text(),
            )
        )

    def _prepare(self) -> Admin | None:
        self.console.say(f"Docmill {settings.VERSION}, data in {self.data}")
        self.has_broker = self._start_broker()
        try:
            first_run.migrate()
            self._check_stop()
            if first_run.collect_static(self.data / "static.stamp"):
                self._check_stop()
            admin = first_run.ensure_admin(settings.DOCMILL_ADMIN_EMAIL)
            if admin:
                first_run.ensure_api_key(admin, self.data / "api_key")
                first_run.lift_batch_limit(admin)
        except OperationalError as error:
            raise CannotStart(f"The database does not answer: {error}") from error
        connections.close_all()
        return admin

    def _start_broker(self) -> bool:
        """Starts the embedded Valkey when that is the one to use; whether there is a broker."""
        path = settings.EMBEDDED_SOCKET
        if settings.REDIS_URL.removeprefix("unix://") != str(path):
            return True
        binary = embedded.find_binary()
        if binary is None:
            self.console.say(
                "There is no Valkey or Redis server for this platform: files are found by polling "
                "the database, and health says degraded. Install valkey-server, or set REDIS_URL."
            )
            return False
        embedded.prepare_directory(path.parent)
        self.supervisor.start(
            Child(
                "valkey",
                embedded.server_command(binary, path),
                grace_seconds=3,
                prepare=lambda: embedded.remove_socket(path),
            )
        )
        self._wait(lambda: embedded.answers(path), BROKER_SECONDS, "Valkey does not answer.")
        return True

    def _start_children(self) -> None:
        self._check_stop()
        others = [lane for lane in settings.QUEUE_LANES if lane not in FILE_LANES]
        self._start_worker("worker", FILE_LANES, self.wish.slots)
        self._start_worker("background", others, BACKGROUND_SLOTS)
        self.supervisor.start(Child("beat", _manage("beat"), grace_seconds=5))
        serving = Serving(self.port.host, self.port.number)
        self.supervisor.start(
            Child("web", serving.command(), grace_seconds=serving.kill_seconds + 5)
        )
        if self.port.number != self.wish.port:
            self.console.say(f"Port {self.wish.port} is taken, using {self.port.number}.")

    def _start_worker(self, name: str, lanes: Sequence[str], slots: int) -> None:
        work = [*_manage("work"), "--lanes", ",".join(lanes), "--slots", str(slots)]
        if not self.has_broker:
            work.append("--loop")
        grace = settings.SHUTDOWN_GRACE_SECONDS
        self.supervisor.start(Child(name, work, grace_seconds=grace + 5))

    def _wait_until_ready(self) -> None:
        self._wait(
            lambda: _is_serving(self.port),
            READY_SECONDS,
            f"The web server does not answer. See {self.data / 'logs' / 'web.log'}.",
        )

    def _submit_samples(self, admin: Admin | None) -> None:
        if not (self.wish.samples and admin) or BatchJob.objects.exists():
            return
        connections.close_all()
        self.console.say(f"Submitting the documents in {self.wish.samples}")
        submit = [*_manage("submit"), str(self.wish.samples), "--wait", "--user", admin.email]
        code = self.supervisor.run(submit)
        self._check_stop()
        if code not in {0, 1}:  # 1: some files could not be processed, which samples may show
            self.console.say("The samples could not be submitted; everything else works.")

    def _wait(self, is_there: Callable[[], bool], seconds: float, otherwise: str) -> None:
        until = time.monotonic() + seconds
        while not is_there():
            self._check_stop()
            if time.monotonic() > until:
                raise CannotStart(otherwise)
            self.supervisor.tend()
            self.signals.pause(0.05)
        self._check_stop()

    def _check_stop(self) -> None:
        if self.signals.is_asked:
            raise _Stopped


def run_up(wish: Wish) -> int:
    """Runs the service until it is stopped. 0 after an orderly stop, 1 when it was hurried.

    Raises AlreadyRunning, OSError when no port can be had, CannotStart, UnsafeDirectory.
    """
    data = settings.DOCMILL_DATA_DIR
    with Instance(data / "up.lock") as instance, StopSignals() as signals:
        port = Port(wish.host, wish.port)
        supervisor = Supervisor(Console(_shape()), signals, data / "logs")
        try:
            Up(wish, instance, port, supervisor).run()
        finally:
            supervisor.console.is_open_to_children = supervisor.console.shape is not None
            supervisor.console.say("Stopping. Running files may finish; again to stop at once.")
            supervisor.stop()
            embedded.remove_socket(settings.EMBEDDED_SOCKET)
            port.release()
            supervisor.console.say("Stopped.")
        return 1 if signals.is_urgent else 0


def _shape() -> Shape | None:
    if settings.LOG_FORMAT != JSON:
        return None
    return lambda name, text: as_line(text, logger=name)


def _manage(command: str) -> list[str]:
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), command]


def _is_serving(port: Port) -> bool:
    """Whether `/health` answers that it serves: healthy, or degraded while a part still starts."""
    connection = http.client.HTTPConnection(port.reached_at, port.number, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _some_file_with_text() -> str | None:
    first = BatchFile.objects.filter(state="succeeded").order_by("pk").first()
    return str(first.pk) if first else None
