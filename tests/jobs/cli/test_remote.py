"""The door to another installation, when the way there is bad."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from apps.accounts.models import Organization
from apps.jobs.cli import remote
from apps.jobs.cli.doors import Away, Order, Refused
from apps.jobs.cli.remote import RemoteDoor
from apps.jobs.models import BatchFile, BatchJob, IdempotencyKey
from tests.jobs.cli.bad_way import CLOSE, SWALLOW, BadWay, response
from tests.jobs.cli.conftest import Run

pytestmark = pytest.mark.once


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader")
    return path


@pytest.mark.parametrize(
    "fate", [SWALLOW, CLOSE, response("502 Bad Gateway", "<html>"), b"nonsense\r\n\r\n"]
)
def test_a_submission_whose_connection_breaks_is_sent_again_and_made_once(
    run: Run, bad_way: Callable[..., BadWay], token: str, letter: Path, fate: bytes | None
) -> None:
    way = bad_way(fate)

    answer = run("submit", letter, "--url", way.url, "--key", token)

    assert answer.code == 0
    assert "Trying once more." in answer.err
    assert str(BatchJob.objects.get().pk) in answer.out
    assert BatchFile.objects.get().name == "letter.txt"
    assert IdempotencyKey.objects.count() == 1


def test_two_submissions_are_two_jobs(run: Run, there: list[str], letter: Path) -> None:
    run("submit", letter, *there)
    run("submit", letter, *there)

    assert BatchJob.objects.count() == 2


def test_it_is_sent_again_only_once(
    run: Run, bad_way: Callable[..., BadWay], token: str, letter: Path
) -> None:
    way = bad_way(CLOSE, CLOSE)

    answer = run("submit", letter, "--url", way.url, "--key", token)

    assert answer.code == 2
    assert way.connections == 2
    assert "does not answer" in answer.err
    assert not BatchJob.objects.exists()


def test_room_that_is_there_soon_is_waited_for(
    run: Run, bad_way: Callable[..., BadWay], token: str, letter: Path
) -> None:
    way = bad_way(response("429 Too Many Requests", "", "Retry-After: 1"))
    started = time.monotonic()

    answer = run("submit", letter, "--url", way.url, "--key", token)

    assert answer.code == 0
    assert time.monotonic() - started >= 1
    assert BatchJob.objects.count() == 1


def test_room_that_is_there_much_later_is_told(
    run: Run, bad_way: Callable[..., BadWay], token: str, letter: Path
) -> None:
    problem = '{"code": "request.throttled", "detail": "Try again in 29 minutes."}'
    way = bad_way(response("429 Too Many Requests", problem, "Retry-After: 1740"))

    answer = run("submit", letter, "--url", way.url, "--key", token)

    assert answer.code == 2
    assert way.connections == 1
    assert "Try again in 29 minutes." in answer.err
    assert not BatchJob.objects.exists()


def test_what_the_server_refuses_is_not_sent_again(
    run: Run, bad_way: Callable[..., BadWay], letter: Path
) -> None:
    way = bad_way()

    answer = run("submit", letter, "--url", way.url, "--key", "dm_wrong")

    assert answer.code == 2
    assert way.connections == 1
    assert "There is no such API key." in answer.err


def test_waiting_outlives_a_server_that_is_away(
    run: Run, bad_way: Callable[..., BadWay], token: str, letter: Path, working: None
) -> None:
    url = bad_way("pass", CLOSE).url

    answer = run("submit", letter, "--wait", "--url", url, "--key", token)

    assert answer.code == 0
    assert "The jobs go on; trying again until it answers." in answer.err
    assert "It answers again." in answer.err


@pytest.mark.parametrize(
    ("fate", "wait"),
    [
        (CLOSE, None),
        (response("500 Internal Server Error"), None),
        (response("503 Service Unavailable", "<html>"), None),
        (response("429 Too Many Requests", "", "Retry-After: 7"), 7.0),
    ],
)
def test_what_may_be_otherwise_later(
    bad_way: Callable[..., BadWay], token: str, fate: bytes, wait: float | None
) -> None:
    with closing(RemoteDoor(bad_way(fate).url, token, say=str)) as door:
        with pytest.raises(Away) as away:
            door.jobs([], 1)

        assert away.value.retry_after == wait
        assert door.jobs([], 1) == []


@pytest.mark.parametrize(
    ("fate", "words"),
    [
        (response("200 OK", "<html>Welcome"), "is not Docmill"),
        (response("200 OK", "[1]"), "is not Docmill"),
        (response("404 Not Found", "<html>"), "answered 404 Not Found"),
        (response("301 Moved", "", "Location: https://mill.example.com/"), "Give the address"),
    ],
)
def test_other_answers_are_told_in_a_sentence(
    run: Run, bad_way: Callable[..., BadWay], token: str, fate: bytes, words: str
) -> None:
    answer = run("jobs", "--url", bad_way(fate).url, "--key", token)

    assert (answer.code, answer.out) == (2, "")
    assert words in answer.err


def test_a_server_without_tls(run: Run, bad_way: Callable[..., BadWay], token: str) -> None:
    url = bad_way(response("400 Bad Request")).url.replace("http:", "https:")

    answer = run("jobs", "--url", url, "--key", token)

    assert answer.code == 2
    assert f"There is no TLS with {url}" in answer.err


def test_files_beyond_the_first_page_are_read_too(
    there: list[str], acme: Organization, letter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PAGE", 1)
    with closing(RemoteDoor(there[1], there[3], say=str)) as door:
        job = door.submit([letter, letter, letter], Order())
        positions = [file["position"] for file in door.files(job["id"])]

    assert positions == [1, 2, 3]


def test_a_job_that_is_gone_is_refused(there: list[str], acme: Organization) -> None:
    door = RemoteDoor(there[1], there[3], say=str)

    with closing(door), pytest.raises(Refused, match="There is no such job"):
        door.job("019f3c1e-5a70-7c55-b0b4-6f5a1c0e9d21")
