"""Large files to another installation, in parts, over a line that breaks."""

import hashlib
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from apps.jobs.api import uploads
from apps.jobs.cli import in_parts, remote
from apps.jobs.cli.doors import Away, Order
from apps.jobs.cli.remote import RemoteDoor
from apps.jobs.models import BatchFile, BatchJob, UploadSession
from tests.jobs.cli.bad_way import CLOSE, SWALLOW, BadWay, response
from tests.jobs.cli.conftest import Run

pytestmark = pytest.mark.once

PART = 10_000


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large is what has 20,000 bytes; nobody waits between tries."""
    monkeypatch.setattr(remote, "LARGE_BYTES", 2 * PART)
    monkeypatch.setattr(in_parts, "PART_BYTES", PART)
    monkeypatch.setattr(in_parts, "LARGEST_PART_BYTES", PART)
    monkeypatch.setattr(in_parts, "SMALLEST_PART_BYTES", 1000)
    monkeypatch.setattr(in_parts, "WAITS_SECONDS", (0,) * 4)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A file of 35,000 bytes: four parts."""
    path = tmp_path / "log \u00e4.txt"
    path.write_text(os.urandom(17_500).hex())
    return path


def assert_is_there(path: Path) -> BatchFile:
    file: BatchFile = BatchFile.objects.get(name=path.name)
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not UploadSession.objects.exists()
    return file


def test_large_files_go_in_parts_and_the_others_whole(
    run: Run, bad_way: Callable[..., BadWay], token: str, log: Path, tmp_path: Path
) -> None:
    way = bad_way()
    small = tmp_path / "small.txt"
    small.write_text("Dear reader")

    answer = run("submit", log, small, "--name", "both", "--url", way.url, "--key", token)

    assert answer.code == 0
    assert BatchJob.objects.get().name == "both"
    assert assert_is_there(log).job.total == 2
    assert way.connections == 1 + 4 + 1  # begun, its parts, the submission


@pytest.mark.parametrize(
    "fates",
    [
        (CLOSE, SWALLOW),  # as it begins
        ("pass", "pass", 4000),  # in the middle of a part
        ("pass", "pass", SWALLOW, CLOSE, SWALLOW),  # an answer, and the questions after it
        ("pass", CLOSE, CLOSE, response("502 Bad Gateway", "<html>"), "pass", 4999),
        ("pass", "pass", response("429 Too Many Requests", "", "Retry-After: 0")),
        ("pass", response("413 Too Large", "<html>")),  # a proxy's
    ],
)
def test_a_line_that_breaks_costs_what_had_not_arrived(
    run: Run, bad_way: Callable[..., BadWay], token: str, log: Path, fates: tuple[Any, ...]
) -> None:
    answer = run("submit", log, "--url", bad_way(*fates).url, "--key", token)

    assert answer.code == 0
    assert BatchJob.objects.count() == 1
    file = BatchFile.objects.get()
    assert file.sha256 == hashlib.sha256(log.read_bytes()).hexdigest()


def test_it_is_said_how_far_it_got(
    run: Run, bad_way: Callable[..., BadWay], token: str, log: Path
) -> None:
    answer = run("submit", log, "--url", bad_way("pass", "pass", CLOSE).url, "--key", token)

    assert answer.code == 0
    assert f"0.0 of 0.0 MB of {log.name} so far; going on." in answer.err


def test_it_is_given_up_when_nothing_gets_through(
    bad_way: Callable[..., BadWay], token: str, log: Path
) -> None:
    way = bad_way("pass", "pass", *[CLOSE] * 5)

    with closing(RemoteDoor(way.url, token, say=str)) as door, pytest.raises(Away):
        door.submit([log], Order())

    assert way.connections == 7
    assert not BatchJob.objects.exists()


def test_each_part_that_gets_through_gives_new_patience(
    run: Run, bad_way: Callable[..., BadWay], token: str, log: Path
) -> None:
    fates = [CLOSE, CLOSE, "pass", "pass"] * 3

    answer = run("submit", log, "--url", bad_way("pass", *fates).url, "--key", token)

    assert answer.code == 0
    assert_is_there(log)


def test_an_upload_that_is_gone_is_begun_anew(
    run: Run, bad_way: Callable[..., BadWay], token: str, log: Path
) -> None:
    gone = response("404 Not Found", '{"code": "request.not_found"}')

    answer = run("submit", log, "--url", bad_way("pass", "pass", gone).url, "--key", token)

    assert answer.code == 0
    assert BatchFile.objects.get().sha256 == hashlib.sha256(log.read_bytes()).hexdigest()
    assert UploadSession.objects.get().offset_bytes == PART


@pytest.mark.parametrize("status", ["404 Not Found", "405 Method Not Allowed", "409 Conflict"])
def test_where_there_are_no_parts_it_goes_whole(
    run: Run, bad_way: Callable[..., BadWay], token: str, log: Path, status: str
) -> None:
    answer = run("submit", log, "--url", bad_way(response(status)).url, "--key", token)

    assert answer.code == 0
    assert_is_there(log)


def test_who_may_not_submit_is_told_before_anything_is_sent(
    run: Run, bad_way: Callable[..., BadWay], log: Path
) -> None:
    way = bad_way()

    answer = run("submit", log, "--url", way.url, "--key", "dm_wrong")

    assert answer.code == 2
    assert way.connections == 1
    assert "There is no such API key." in answer.err


def test_a_file_that_changes_meanwhile_is_not_patched_together(
    run: Run,
    bad_way: Callable[..., BadWay],
    token: str,
    log: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = uploads.UploadDetail.patch

    def patch(*given: Any, **more: Any) -> Any:
        log.write_text("x" * 35_000)
        return real(*given, **more)

    monkeypatch.setattr(uploads.UploadDetail, "patch", patch)

    answer = run("submit", log, "--url", bad_way().url, "--key", token)

    assert answer.code == 2
    assert "was changed while it was sent" in answer.err
    assert not BatchJob.objects.exists()
