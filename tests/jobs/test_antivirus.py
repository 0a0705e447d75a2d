"""Files are shown to ClamAV before they are read: the real daemon where there is one, and one that
speaks like it everywhere."""

import shutil
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.jobs import antivirus
from apps.jobs.models import BatchFile
from apps.processors.errors import BadDocument, Unavailable
from apps.queue import worker
from tests.jobs.containers import submit_files

pytestmark = pytest.mark.once

CLAMD = shutil.which("clamd", path="/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin:/bin")
# The test file of EICAR; in one piece, scanners would take this file away.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTI" + b"VIRUS-TEST-FILE!$H+H*"
MAX_STREAM_BYTES = 1024 * 1024


class Likeness(socketserver.StreamRequestHandler):
    """Answers as clamd does: `zVERSION` and `zINSTREAM`, with its limit of a stream's length."""

    def handle(self) -> None:
        order = b""
        while not order.endswith(b"\0"):
            order += self.rfile.read(1)
        answer = self.scan() if order == b"zINSTREAM\0" else b"ClamAV 1.4.6"
        self.wfile.write(answer + b"\0")

    def scan(self) -> bytes:
        stream = b""
        while length := int.from_bytes(self.rfile.read(4)):
            if len(stream) + length > MAX_STREAM_BYTES:
                return b"INSTREAM size limit exceeded. ERROR"
            stream += self.rfile.read(length)
        return b"stream: Test.Eicar.UNOFFICIAL FOUND" if EICAR in stream else b"stream: OK"


@pytest.fixture(scope="module")
def likeness() -> Iterator[str]:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Likeness)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"tcp://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real one with one signature of our own; it needs no database of its makers'."""
    assert CLAMD
    folder = tmp_path_factory.mktemp("clamd")
    (folder / "test.ndb").write_text(f"Test.Eicar:0:*:{EICAR.hex()}\n")
    socket_path = folder / "clamd.ctl"
    (folder / "clamd.conf").write_text(
        f"DatabaseDirectory {folder}\nLocalSocket {socket_path}\nForeground yes\n"
        f"StreamMaxLength {MAX_STREAM_BYTES}\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([CLAMD, "-c", folder / "clamd.conf"], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not socket_path.exists():
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.02)
        yield f"unix:{socket_path}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(params=["likeness", "clamd"] if CLAMD else ["likeness"])
def scanner(request: pytest.FixtureRequest, settings: Settings) -> str:
    settings.CLAMAV_URL = request.getfixturevalue(request.param)
    settings.CLAMAV_FAIL_OPEN = False
    return str(settings.CLAMAV_URL)


def a_file(folder: Path, content: bytes) -> Path:
    path = folder / "bytes"
    path.write_bytes(content)
    return path


def test_it_says_who_it_is(scanner: str) -> None:
    assert antivirus.ping().startswith("ClamAV ")


@pytest.mark.parametrize("content", [b"", b"harmless " * 20_000], ids=["empty", "long"])
def test_what_is_clean_is_read(scanner: str, tmp_path: Path, content: bytes) -> None:
    antivirus.check(a_file(tmp_path, content))


def test_what_is_infected_is_not_read(scanner: str, tmp_path: Path, settings: Settings) -> None:
    settings.CLAMAV_FAIL_OPEN = True  # it did answer
    with pytest.raises(BadDocument, match=r"ClamAV found Test\.Eicar") as refused:
        antivirus.check(a_file(tmp_path, b" " * 200_000 + EICAR))
    assert refused.value.code == "document.infected"


@pytest.mark.django_db(transaction=True)
def test_an_infected_file_fails_and_the_others_are_read(
    likeness: str, acme: Organization, settings: Settings
) -> None:
    settings.CLAMAV_URL = likeness
    settings.PROCESSORS = ["tests.jobs.telling.TellingProcessor"]
    submit_files(acme, {"bad.txt": EICAR, "good.txt": b"text"})
    worker.work_off("default")
    worker.close_slot()
    states = BatchFile.objects.order_by("position").values_list("state", "error_code")
    assert list(states) == [("failed", "document.infected"), ("succeeded", "")]


def test_a_file_that_the_scanner_does_not_take(
    scanner: str, tmp_path: Path, settings: Settings
) -> None:
    path = a_file(tmp_path, bytes(8 * MAX_STREAM_BYTES))
    with pytest.raises(BadDocument) as refused:
        antivirus.check(path)
    assert refused.value.code == "document.too_large"
    settings.CLAMAV_FAIL_OPEN = True
    antivirus.check(path)


@pytest.fixture(params=["nobody", "hangs up", "talks nonsense", "no address"])
def nobody(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Iterator[None]:
    """Something that is no scanner at the address."""
    settings.CLAMAV_FAIL_OPEN = False
    addresses = {"nobody": f"unix:{tmp_path}/nobody", "no address": "127.0.0.1:3310"}
    if request.param in addresses:
        settings.CLAMAV_URL = addresses[request.param]
        yield
        return
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.CLAMAV_URL = f"tcp://127.0.0.1:{server.getsockname()[1]}"

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                if request.param == "talks nonsense":
                    connection.sendall(b"220 mail.example.com\0")
                    connection.recv(1000)

        thread = threading.Thread(target=answer)
        thread.start()
        yield
        thread.join()


def test_without_an_answer_it_is_tried_again_later(nobody: None, tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as failed:
        antivirus.check(a_file(tmp_path, b"text"))
    assert failed.value.code == "processor.unavailable"


def test_or_it_is_read_unseen_where_that_was_chosen(
    nobody: None, tmp_path: Path, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CLAMAV_FAIL_OPEN = True
    antivirus.check(a_file(tmp_path, b"text"))
    assert "bytes is read without a virus scan" in caplog.text


def test_a_scanner_that_is_away_has_no_version(settings: Settings, tmp_path: Path) -> None:
    settings.CLAMAV_URL = f"unix:{tmp_path}/nobody"
    with pytest.raises(Unavailable, match="ClamAV does not answer"):
        antivirus.ping()


def test_without_an_address_nobody_is_asked(settings: Settings, tmp_path: Path) -> None:
    settings.CLAMAV_URL = ""
    antivirus.check(tmp_path / "is not even opened")
    assert antivirus.ping() == ""
