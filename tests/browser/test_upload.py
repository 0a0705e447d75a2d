"""Uploads that do not go well."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.browser import hands
from tests.browser.chromium import Complaints
from tests.browser.service import Api

MEGABYTE = 1024 * 1024
STORED = """async (name) => {
  const answer = await fetch("/api/batch/uploads", { headers: { Accept: "application/json" } });
  const mine = (await answer.json()).results.filter((each) => each.name === name);
  return mine.map((each) => each.offset_bytes);
}"""
"""How much the server has of each upload in parts of that name of who is signed in."""


def named(workshop: Api, name: str) -> int:
    """How many jobs of that name there are."""
    return sum(job["name"] == name for job in workshop.jobs())


def write(folder: Path, *names: str, text: str = "Some text.\n") -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.write_text(f"{text}{path.name}\n")
    return paths


@contextmanager
def answers_lost(page: Page, pattern: str) -> Iterator[None]:
    """The server gets what is sent to `pattern` and answers; the browser never hears of it."""
    session = page.context.new_cdp_session(page)

    def lose(event: dict[str, Any]) -> None:
        lost = {"requestId": event["requestId"], "errorReason": "ConnectionReset"}
        session.send("Fetch.failRequest", lost)

    session.on("Fetch.requestPaused", lose)
    patterns = [{"urlPattern": pattern, "requestStage": "Response"}]
    session.send("Fetch.enable", {"patterns": patterns})
    yield
    session.send("Fetch.disable")
    session.detach()


@contextmanager
def slow_line(page: Page, bytes_per_second: int) -> Iterator[None]:
    """No more than that gets up from the page."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    line = {"offline": False, "latency": 0, "downloadThroughput": -1}
    for limit in (bytes_per_second, -1):
        session.send("Network.emulateNetworkConditions", {**line, "uploadThroughput": limit})
        if limit > 0:
            yield
    session.detach()


def part_stored(page: Page, *, above: int = 0) -> int:
    """The percentage that the page shows, once it is above that."""
    page.wait_for_function("above => document.getElementById('total').value > above", arg=above)
    return int(page.locator("#total").evaluate("each => each.value"))


def test_when_no_file_can_be_read_each_says_why_and_nothing_is_stored(
    wendy: Page, workshop: Api, complaints: Complaints, tmp_path: Path
) -> None:
    wendy.goto("/jobs/new")
    paths = write(tmp_path, "one.pdf", "two.pdf", text="PK\x03\x04")
    wendy.locator("#files").set_input_files(paths)
    wendy.get_by_label("Job name").fill("All wrong")
    wendy.get_by_role("button", name="Send 2 files").click()
    notice = wendy.locator("#refusal", has_text="None of these files can be read.")
    notice.wait_for()
    assert hands.has_focus(notice)
    reasons = wendy.locator("#rows .problem")
    assert all(text for text in reasons.all_inner_texts())
    assert reasons.count() == 2
    assert named(workshop, "All wrong") == 0
    complaints.expect("status of 422")


def test_more_files_than_a_job_takes_are_not_sent_until_some_are_left_out(
    wendy: Page, workshop: Api, tmp_path: Path
) -> None:
    wendy.goto("/jobs/new")
    paths = write(tmp_path, *(f"{number:02}.txt" for number in range(1, 52)))
    wendy.locator("#files").set_input_files(paths)
    wendy.get_by_label("Job name").fill("Fifty-one")
    wendy.get_by_text("1 is too many").wait_for()
    wendy.get_by_role("button", name="Send", exact=True).click()
    assert hands.has_focus(wendy.get_by_role("button", name="Keep the first 50"))
    assert named(workshop, "Fifty-one") == 0
    wendy.keyboard.press("Enter")
    wendy.get_by_role("button", name="Send 50 files").click()
    job_id = hands.job_id_of(wendy)
    assert len(workshop.files(job_id)) == 50


def test_a_folder_is_dropped_with_all_that_is_in_it(
    wendy: Page, workshop: Api, tmp_path: Path
) -> None:
    (tmp_path / "logs" / "1987").mkdir(parents=True)
    write(tmp_path / "logs", "a.txt", ".hidden.txt")
    write(tmp_path / "logs" / "1987", "b.txt")
    wendy.goto("/jobs/new")
    hands.drop(wendy, wendy.locator("#drop"), [tmp_path / "logs"])
    wendy.get_by_text("1 hidden or system file left out.").wait_for()
    wendy.get_by_role("button", name="Send 2 files").click()
    assert sorted(workshop.files(hands.job_id_of(wendy))) == ["a.txt", "b.txt"]


def test_sent_again_after_the_connection_was_lost_there_is_one_job(
    wendy: Page, workshop: Api, complaints: Complaints, tmp_path: Path
) -> None:
    wendy.goto("/jobs/new")
    wendy.locator("#files").set_input_files(write(tmp_path, "once.txt"))
    wendy.get_by_label("Job name").fill("Just once")
    with hands.offline(wendy, complaints):
        wendy.get_by_role("button", name="Send 1 file").click()
        wendy.get_by_text("There is no connection.").wait_for()
    wendy.get_by_role("button", name="Try again: 1 file").click()
    job_id = hands.job_id_of(wendy)
    workshop.wait(job_id)
    assert named(workshop, "Just once") == 1


def test_an_answer_that_was_lost_on_the_way_makes_no_second_job(
    wendy: Page, workshop: Api, complaints: Complaints, tmp_path: Path
) -> None:
    wendy.goto("/jobs/new")
    wendy.locator("#files").set_input_files(write(tmp_path, "twice.txt"))
    wendy.get_by_label("Job name").fill("Lost answer")
    with answers_lost(wendy, "*/api/batch/upload"):
        wendy.get_by_role("button", name="Send 1 file").click()
        wendy.get_by_text("The upload did not get through").wait_for()
    assert named(workshop, "Lost answer") == 1
    wendy.get_by_role("button", name="Try again: 1 file").click()
    job_id = hands.job_id_of(wendy)
    assert workshop.job(job_id)["name"] == "Lost answer"
    assert named(workshop, "Lost answer") == 1
    complaints.expect("net::ERR_CONNECTION_RESET")


def test_a_large_file_outlives_a_lost_connection_and_a_reload(
    wendy: Page, workshop: Api, complaints: Complaints, tmp_path: Path
) -> None:
    large, small = tmp_path / "large.txt", tmp_path / "small.txt"
    large.write_text("A line of many.\n" * (9 * MEGABYTE // 16))
    small.write_text("And a small one.\n")
    begun: list[str] = []
    wendy.on("request", lambda each: begun.append(each.url) if each.method == "POST" else None)
    wendy.goto("/jobs/new")
    with slow_line(wendy, MEGABYTE // 2):
        wendy.locator("#files").set_input_files([large, small])
        wendy.get_by_role("button", name="Send 2 files").click()
        part_stored(wendy)
        with hands.offline(wendy, complaints):
            wendy.locator("#speed", has_text="Paused at").wait_for()
            before = part_stored(wendy)
            assert before < 90
        after = part_stored(wendy, above=before)  # by itself
        [stored] = wendy.evaluate(STORED, large.name)
        assert after * large.stat().st_size <= 100 * stored  # no more is shown than is there
        wendy.once("dialog", lambda dialog: dialog.accept())
        wendy.goto("/jobs/new")
    wendy.locator("#files").set_input_files([large, small])
    wendy.get_by_role("button", name="Send 2 files").click()
    files = workshop.files(hands.job_id_of(wendy))
    sha256 = hashlib.sha256(large.read_bytes()).hexdigest()
    assert files["large.txt"]["sha256"] == sha256
    assert set(files) == {"large.txt", "small.txt"}
    assert [url.rpartition("/")[2] for url in begun] == ["uploads", "upload"]
    assert wendy.evaluate(STORED, large.name) == []
    assert wendy.evaluate("localStorage.getItem('docmill.uploads')") is None


def test_the_lost_answer_to_a_large_file_makes_no_second_job(
    wendy: Page, workshop: Api, complaints: Complaints, tmp_path: Path
) -> None:
    large = tmp_path / "twice.txt"
    large.write_text("A line as well.\n" * (9 * MEGABYTE // 16))
    wendy.goto("/jobs/new")
    wendy.locator("#files").set_input_files([large])
    wendy.get_by_label("Job name").fill("From here")
    with answers_lost(wendy, "*/api/batch/upload"):
        wendy.get_by_role("button", name="Send 1 file").click()
        wendy.get_by_text("The upload did not get through").wait_for()
    assert named(workshop, "From here") == 1
    wendy.get_by_role("button", name="Try again: 1 file").click()  # with the key of the first
    assert workshop.job(hands.job_id_of(wendy))["name"] == "From here"
    assert named(workshop, "From here") == 1
    complaints.expect("net::ERR_CONNECTION_RESET")
