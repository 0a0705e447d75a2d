"""Submissions to the real web server: hang-ups, lengths, memory, full disks, and kill -9."""

import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from pytest_django import Settings

from apps.accounts.models import Organization, User
from apps.accounts.services import create_api_key
from apps.core.split import THREADS as WEB_THREADS
from apps.jobs import storage
from apps.jobs.models import BatchFile, BatchJob, UploadSession
from tests.jobs.forms import BOUNDARY, assert_nothing_stored, body_of, part, stored
from tests.jobs.parts import ids
from tests.jobs.serving import Web, answer_of, told
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)

MEGABYTE = 1024 * 1024
Serve = Callable[..., Web]


@pytest.fixture
def key(alice: User, acme: Organization) -> str:
    return create_api_key(organization=acme, user=alice, name="web")[1]


@pytest.fixture
def serve(tmp_path: Path, data_dir: Path, key: str) -> Iterator[Serve]:
    """Starts web servers of the test's own; what runs at its end is ended."""
    started: list[Web] = []

    def start(**env: str) -> Web:
        log = tmp_path / f"web-{len(started)}.log"
        web = Web(log=log, data_dir=data_dir, env=env)
        web.key = key
        started.append(web)
        return web.wait_until_ready()

    yield start
    for web in started:
        web.close()


@pytest.fixture(scope="module")
def shared_web(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None
) -> Iterator[tuple[Web, Path]]:
    root = tmp_path_factory.mktemp("web")
    web = Web(log=root / "web.log", data_dir=root / "data", env={})
    yield web, root / "data"
    web.close()


@pytest.fixture
def data_dir(
    shared_web: tuple[Web, Path], request: pytest.FixtureRequest, tmp_path: Path, settings: Settings
) -> Path:
    """That of the shared server where the test uses it, else the test's own."""
    is_shared = "web" in request.fixturenames
    directory = shared_web[1] if is_shared else tmp_path / "data"
    settings.DOCMILL_DATA_DIR = directory
    return directory


@pytest.fixture
def web(shared_web: tuple[Web, Path], data_dir: Path, key: str) -> Iterator[Web]:
    """A server that tests share, with nothing stored and the key of this test."""
    server, _ = shared_web
    for name in ("incoming", "uploads", "blobs"):
        shutil.rmtree(data_dir / name, ignore_errors=True)
    server.key = key
    yield server.wait_until_ready()
    server.assert_no_trouble()


def assert_is_safe(job_id: str) -> None:
    """Every file of the job is there, with the bytes whose hash it tells."""
    files = BatchFile.objects.filter(job=job_id).select_related("content")
    assert files
    for file in files:
        bytes_there = storage.path_of(file.content).read_bytes()
        assert hashlib.sha256(bytes_there).hexdigest() == file.sha256 == file.content.sha256


def large_form(files: int, megabytes: int) -> Iterator[bytes]:
    """A body of `files` different text files, made while it is sent."""
    for number in range(files):
        yield b"--%s\r\n" % BOUNDARY.encode()
        yield part(b"file %d\n" % number, f"{number}.txt")
        for _ in range(megabytes):
            yield b"words and words\n" * (MEGABYTE // 16)
        yield b"\r\n"
    yield b"--%s--\r\n" % BOUNDARY.encode()


@pytest.mark.once
def test_who_hangs_up_in_the_middle_leaves_nothing(web: Web, data_dir: Path) -> None:
    form = body_of([part(b"x\n" * MEGABYTE, "a.txt"), part(b"y\n" * MEGABYTE, "b.txt")])
    for sent in (0, 50, MEGABYTE, len(form) // 2, len(form) - 60, len(form) - 3):
        web.begin([form[:sent]], len(form)).close()
    reset = web.begin([form[:MEGABYTE]], len(form))
    reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    reset.close()
    half_closed = web.begin([form[: len(form) // 2]], len(form))
    eventually((data_dir / "incoming").exists)
    half_closed.close()
    eventually(lambda: not list((data_dir / "incoming").iterdir()))
    assert_nothing_stored(data_dir)
    assert web.submit(part())[0] == 202


@pytest.mark.once
def test_without_a_length_the_body_is_not_read(web: Web, data_dir: Path) -> None:
    with web.begin([b"5\r\nhello\r\n"], None) as client:
        status, headers, body = told(answer_of(client))
    assert (status, json.loads(body)["code"]) == (411, "request.length_required")
    assert headers["content-type"] == "application/problem+json"
    assert_nothing_stored(data_dir)


@pytest.mark.once
def test_a_length_over_the_limit_is_refused_before_the_body(web: Web, data_dir: Path) -> None:
    with web.begin([], 50 * 50 * MEGABYTE + 2 * MEGABYTE) as client:
        status, _, body = told(answer_of(client))
    assert (status, json.loads(body)["code"]) == (413, "batch.too_large")
    assert_nothing_stored(data_dir)


@pytest.mark.once
def test_too_many_files_are_told_to_a_client_that_sends_all_first(web: Web, data_dir: Path) -> None:
    for _ in range(5):
        status, _, body = web.submit(*(part(b"x" * 50_000, f"{n}.txt") for n in range(80)))
        assert (status, json.loads(body)["code"]) == (413, "batch.too_many_files")
    assert_nothing_stored(data_dir)


@pytest.mark.once
@pytest.mark.alone
def test_memory_stays_flat_while_receiving_and_while_sending(serve: Serve, data_dir: Path) -> None:
    web = serve()
    files, megabytes = 8, 45
    length = sum(map(len, large_form(files, megabytes)))
    idle = web.rss_bytes()
    peak = [idle]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], web.rss_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with web.begin(large_form(files, megabytes), length) as client:
            status, _, body = told(answer_of(client))
        assert status == 202, body
        assert_is_safe(json.loads(body)["id"])
        largest = BatchFile.objects.latest("size_bytes")
        _, _, content = web.ask("GET", f"/api/batch/files/{largest.pk}/content")
        assert hashlib.sha256(content).hexdigest() == largest.sha256
        in_parts = b"other words and words\n" * (megabytes * MEGABYTE // 22)
        path = web.begin_upload(in_parts)
        assert web.add(path, 0, in_parts)[0] == 204
        submitted(web, path, in_parts)
    finally:
        done.set()
        watcher.join()
    grown = (peak[0] - idle) / MEGABYTE
    assert grown < 2 * megabytes, (
        f"{grown:.0f} MB more than idle for a batch of {length / MEGABYTE:.0f} MB"
    )
    assert peak[0] < 200 * MEGABYTE


@pytest.mark.once
def test_results_are_streamed_and_head_and_options_are_answered(web: Web) -> None:
    _, headers, body = web.submit(part(), part(b"b", "b.txt"))
    path = headers["location"].partition(str(web.port))[2]
    status, headers, lines = web.ask("GET", f"{path}/results.ndjson")
    assert (status, headers.get("transfer-encoding")) == (200, "chunked")
    assert len(lines.splitlines()) == 2
    for what in ("", "/files", "/results.ndjson", "/results.zip"):
        status, headers, body = web.ask("HEAD", path + what)
        assert (status, body) == (200, b""), what
        assert web.ask("OPTIONS", path + what)[0] == 200


@pytest.mark.once
def test_who_waits_for_100_continue_is_told_to_go_on(web: Web) -> None:
    form = body_of([part()])
    with web.begin([], len(form), Expect="100-continue") as client:
        assert client.recv(100).startswith(b"HTTP/1.1 100 Continue")
        client.sendall(form)
        assert told(answer_of(client))[0] == 202


@pytest.mark.once
def test_who_hangs_up_while_reading_holds_no_thread(web: Web) -> None:
    _, _, body = web.submit(part(b"words and words\n" * (MEGABYTE // 2), "large.txt"))
    file = BatchFile.objects.get(job=json.loads(body)["id"])
    path = f"/api/batch/files/{file.pk}/content"
    for _ in range(WEB_THREADS + 4):
        with closing(web.connect()) as connection:
            connection.request("GET", path, headers={"Authorization": f"Bearer {web.key}"})
            assert connection.getresponse().read(1000)
    assert len(web.ask("GET", path)[2]) == file.size_bytes


@pytest.mark.once
def test_what_is_under_way_is_answered_though_the_server_is_to_end(
    serve: Serve, data_dir: Path
) -> None:
    web = serve()
    form = body_of([part(b"x\n" * MEGABYTE, "a.txt")])
    with web.begin([form[:-100]], len(form)) as client:
        eventually((data_dir / "incoming").exists)
        web.send(signal.SIGTERM)
        eventually(lambda: not web.is_serving())
        client.sendall(form[-100:])
        status, _, body = told(answer_of(client))
    assert status == 202
    assert_is_safe(json.loads(body)["id"])
    assert web.wait(seconds=5) == 0


KILLS, AT_ONCE = 4, 5


def submit_until_cut_off(web: Web, number: int, acknowledged: list[str]) -> None:
    """Submits two files; adds the job's id to `acknowledged` if the answer says that it is."""
    content = os.urandom(30_000).hex().encode()
    try:
        status, _, body = web.submit(part(content, f"{number}.txt"), part(content[::-1], "b.txt"))
    except (OSError, http.client.HTTPException):
        return  # nobody promised anything
    if status == 202:
        acknowledged.append(json.loads(body)["id"])


def killed_at_the_first_acknowledgement(web: Web) -> list[str]:
    """The jobs that `web` has acknowledged of several submitted at once until it was killed."""
    acknowledged: list[str] = []
    threads = [
        threading.Thread(target=submit_until_cut_off, args=(web, number, acknowledged))
        for number in range(AT_ONCE)
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: acknowledged)
    web.kill_all()
    for thread in threads:
        thread.join()
    return acknowledged


@pytest.mark.timeout(180)
def test_what_was_acknowledged_outlives_kill_9(serve: Serve, data_dir: Path) -> None:
    acknowledged = []
    for _ in range(KILLS):
        acknowledged += killed_at_the_first_acknowledgement(serve())
    assert len(acknowledged) >= KILLS
    for job_id in acknowledged:
        assert BatchJob.objects.get(pk=job_id).total == 2
    for job in BatchJob.objects.all():  # what was stored and not told is whole, too
        assert_is_safe(str(job.pk))


@pytest.fixture
def tiny_disk(data_dir: Path) -> Iterator[Path]:
    """The data directory on a file system of 4 MB."""
    data_dir.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "docmill-test", str(data_dir)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs root and the right to mount a small file system")
    try:
        yield data_dir
    finally:
        subprocess.run(["umount", "--lazy", str(data_dir)], check=True)


def test_a_disk_that_fills_during_the_upload_is_told_and_left_clean(
    serve: Serve, tiny_disk: Path
) -> None:
    web = serve(STORAGE_MIN_FREE_BYTES="0", STORAGE_MIN_FREE_PERCENT="0")
    fill = tiny_disk / "something else"
    content = b"words and words\n" * (MEGABYTE // 16)
    form = body_of([part(content, "a.txt"), part(content * 2, "b.txt")])
    with web.begin([form[: MEGABYTE // 2]], len(form)) as client:
        eventually(lambda: stored(tiny_disk / "incoming"))  # past the look at the free space
        fill.write_bytes(bytes(2 * MEGABYTE))
        client.sendall(form[MEGABYTE // 2 :])
        status, headers, body = told(answer_of(client))
    assert (status, json.loads(body)["code"]) == (503, "storage.full"), body
    assert int(headers["retry-after"]) > 0
    fill.unlink()
    eventually(lambda: not list((tiny_disk / "incoming").iterdir()), seconds=5)
    assert_nothing_stored(tiny_disk)
    assert web.submit(part())[0] == 202
    assert "Traceback" not in web.output


# --- uploads in parts -----------------------------------------------------------------------------


def submitted(web: Web, path: str, content: bytes) -> None:
    """Fails unless the upload is `content`, in parts that did not get through at once."""
    status, _, body = web.submit(ids(path.rpartition("/")[2]))
    assert status == 202, body
    [file] = BatchFile.objects.filter(job=json.loads(body)["id"]).select_related("content")
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert storage.path_of(file.content).read_bytes() == content


@pytest.mark.once
def test_what_came_before_the_line_was_cut_stays(web: Web) -> None:
    content = os.urandom(3 * MEGABYTE).hex().encode()
    path = web.begin_upload(content)
    with web.begin_part(path, 0, content[:MEGABYTE], len(content)):
        pass
    eventually(lambda: web.offset_of(path) == MEGABYTE)
    rest = content[MEGABYTE:]
    reset = web.begin_part(path, MEGABYTE, rest[: 2 * MEGABYTE], len(rest))
    eventually(lambda: UploadSession.objects.get().writer)
    reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    reset.close()
    eventually(lambda: not UploadSession.objects.get().writer)
    start = web.offset_of(path)
    assert MEGABYTE <= start <= 3 * MEGABYTE
    status, headers, _ = web.add(path, start, content[start:])
    assert (status, headers["upload-offset"]) == (204, str(len(content)))
    submitted(web, path, content)


@pytest.mark.once
def test_who_comes_back_need_not_wait_for_the_line_that_hangs(web: Web) -> None:
    content = os.urandom(MEGABYTE).hex().encode()
    path = web.begin_upload(content)
    half = len(content) // 2
    with web.begin_part(path, 0, content[:half], len(content)) as hanging:
        eventually(lambda: UploadSession.objects.get().writer)
        assert web.add(path, 0, content)[0] == 204
        # It says its last word after all, and is told where the upload is by now.
        hanging.sendall(b"?" * (len(content) - half))
        status, headers, body = told(answer_of(hanging))
    assert (status, json.loads(body)["code"]) == (409, "upload.offset")
    assert headers["upload-offset"] == str(len(content))
    submitted(web, path, content)


def test_an_upload_outlives_kill_9_within_a_part(serve: Serve) -> None:
    content = os.urandom(4 * MEGABYTE).hex().encode()
    web = serve()
    path = web.begin_upload(content)
    assert web.add(path, 0, content[:MEGABYTE])[0] == 204
    rest = content[MEGABYTE:]
    client = web.begin_part(path, MEGABYTE, rest[:-1000], len(rest))
    eventually(lambda: UploadSession.objects.get().offset_bytes > MEGABYTE)
    web.kill_all()
    client.close()
    web = serve()
    start = web.offset_of(path)
    assert MEGABYTE < start < len(content)
    assert web.add(path, start, content[start:])[0] == 204
    submitted(web, path, content)


def test_a_disk_that_fills_costs_what_was_not_stored(serve: Serve, tiny_disk: Path) -> None:
    web = serve(STORAGE_MIN_FREE_BYTES="0", STORAGE_MIN_FREE_PERCENT="0")
    content = os.urandom(MEGABYTE).hex().encode()
    path = web.begin_upload(content)
    assert web.add(path, 0, content[:MEGABYTE])[0] == 204
    fill = tiny_disk / "something else"
    with web.begin_part(path, MEGABYTE, content[MEGABYTE:-100_000], MEGABYTE) as client:
        eventually(lambda: UploadSession.objects.get().writer)  # past the look at the free space
        with suppress(OSError):  # until nothing is left
            fill.write_bytes(bytes(4 * MEGABYTE))
        client.sendall(content[-100_000:])
        status, headers, body = told(answer_of(client))
    assert (status, json.loads(body)["code"]) == (503, "storage.full"), body
    assert int(headers["retry-after"]) > 0
    fill.unlink()
    start = web.offset_of(path)
    assert MEGABYTE <= start < len(content)
    assert web.add(path, start, content[start:])[0] == 204
    submitted(web, path, content)
    assert "Traceback" not in web.output
