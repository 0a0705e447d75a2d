"""Metrics of several processes, counted by hand."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apps.accounts.models import Organization, User
from apps.accounts.services import create_api_key
from apps.jobs.models import BatchJob
from tests.health.scraped import Samples, parsed, total
from tests.jobs.forms import part
from tests.jobs.serving import Web
from tests.processes import Process, eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300), pytest.mark.once]

TOKEN = "t0ken-of-prometheus"
JOBS = "api/batch/jobs"
UPLOAD = "api/batch/upload"
BROKEN = b"%PDF-1.7\nno object, no trailer, nothing\n%%EOF\n"


@pytest.fixture
def webs(tmp_path: Path, alice: User, acme: Organization) -> Iterator[list[Web]]:
    """Two web servers of one process each, beside each other on one machine."""
    key = create_api_key(organization=acme, user=alice, name="web")[1]
    started = []
    try:
        for number in range(2):
            web = Web(
                log=tmp_path / f"web-{number}.log",
                data_dir=tmp_path / "data",
                env={"METRICS_TOKEN": TOKEN},
            )
            web.key = key
            started.append(web)
        yield [web.wait_until_ready() for web in started]
    finally:
        for web in started:
            web.close()


def scrape(web: Web) -> Samples:
    status, headers, body = web.ask("GET", "/metrics", Authorization=f"Bearer {TOKEN}")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return parsed(body.decode())


def counted(samples: Samples) -> dict[str, float]:
    """What is compared with the hand count."""

    def requests(method: str, route: str, status: str) -> float:
        labels = {"method": method, "route": route, "status": status}
        return total(samples, "docmill_http_requests_total", labels)

    def ends(what: str, outcome: str) -> float:
        labels = {"operation": "extract", "outcome": outcome}
        return total(samples, f"docmill_{what}_ended_total", labels)

    lane = {"lane": "default"}
    return {
        "lists": requests("GET", JOBS, "2xx"),
        "lists timed": total(
            samples, "docmill_http_request_seconds_count", {"method": "GET", "route": JOBS}
        ),
        "submissions": requests("POST", UPLOAD, "2xx"),
        "nowhere": requests("GET", "(nowhere)", "4xx"),
        "jobs submitted": total(samples, "docmill_jobs_submitted_total"),
        "jobs partial": ends("jobs", "partial"),
        "files submitted": total(samples, "docmill_files_submitted_total"),
        "succeeded": ends("files", "succeeded"),
        "failed": ends("files", "failed"),
        "duplicate": ends("files", "duplicate"),
        "rejected": ends("files", "rejected"),
        "ended": total(samples, "docmill_files_ended_total"),
        "attempts": total(samples, "docmill_queue_attempts_total", lane),
        "waits": total(samples, "docmill_queue_wait_seconds_count", lane),
        "runs": total(samples, "docmill_queue_run_seconds_count", lane),
    }


def by_hand(rounds: int, lists: int, nowhere: int) -> dict[str, float]:
    """Of `rounds` submissions as `submit` makes them."""
    return {
        "lists": lists,
        "lists timed": lists,
        "submissions": rounds,
        "nowhere": nowhere,
        "jobs submitted": rounds,
        "jobs partial": rounds,
        "files submitted": 6 * rounds,
        "succeeded": 3 * rounds,
        "failed": rounds,
        "duplicate": rounds,
        "rejected": rounds,
        "ended": 6 * rounds,
        "attempts": 4 * rounds,
        "waits": 4 * rounds,
        "runs": 4 * rounds,
    }


def submit(web: Web, number: int) -> None:
    """Three texts, one of them again, a PDF that is none, and something nobody reads."""
    texts = [f"text {number}.{each}".encode() for each in range(3)]
    files = [(f"{each}.txt", text) for each, text in enumerate([*texts, texts[0]])]
    files += [("broken.pdf", BROKEN + str(number).encode()), ("tune.bin", bytes(range(256)))]
    status, _, body = web.submit(*[part(content, name) for name, content in files])
    assert status in (201, 202), body


def ask_for_lists(web: Web, count: int) -> None:
    for _ in range(count):
        assert web.ask("GET", f"/{JOBS}")[0] == 200


def until_it_says(webs: list[Web], expected: dict[str, float]) -> None:
    for web in webs:
        found: dict[str, float] = {}

        def fits(web: Web = web, found: dict[str, float] = found) -> bool:
            found.update(counted(scrape(web)))
            return found == expected

        try:
            eventually(fits, seconds=60)
        except pytest.fail.Exception:
            assert found == expected  # says what differs


def kill_with_all(worker: Process) -> None:
    """SIGKILL to the worker and its pool, as when a machine runs out of memory."""
    pids = [worker.pid, *worker.descendants()]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    worker.kill()
    eventually(lambda: not worker.descendants())


def test_two_web_and_three_worker_processes_tell_what_was_counted_by_hand(
    webs: list[Web], manage: Callable[..., Process], tmp_path: Path
) -> None:
    one, two = webs
    env = {"DOCMILL_DATA_DIR": str(tmp_path / "data"), "SWEEP_SECONDS": "1"}
    work = ("work", "--lanes", "default", "--slots", "3")

    worker = manage(*work, env=env)
    for number in range(4):
        submit(webs[number % 2], number)
    ask_for_lists(one, 7)
    ask_for_lists(two, 5)
    for web in (one, one, two):
        assert web.ask("GET", "/api/nowhere")[0] == 404
    worker.wait_for(lambda: not BatchJob.objects.open().exists(), seconds=120)
    until_it_says(webs, by_hand(rounds=4, lists=12, nowhere=3))

    kill_with_all(worker)
    until_it_says(webs, by_hand(rounds=4, lists=12, nowhere=3))
    worker = manage(*work, env=env)
    submit(two, 4)
    ask_for_lists(one, 1)
    worker.wait_for(lambda: not BatchJob.objects.open().exists(), seconds=120)
    until_it_says(webs, by_hand(rounds=5, lists=13, nowhere=3))

    one.kill_all()
    until_it_says([two], by_hand(rounds=5, lists=13, nowhere=3))
    left = [path.name for path in (tmp_path / "data/metrics").iterdir()]
    assert len(left) < 30, left  # what the killed left is in one file
