"""Pages that are open while things change: in several tabs, without a connection, signed out."""

import re
import time
from itertools import count

import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser import chromium, hands
from tests.browser.chromium import Complaints
from tests.browser.conftest import ContextFor
from tests.browser.service import Api, Service, wait_until
from tests.browser.stage import Stage

pytestmark = pytest.mark.timeout(180)

serial = count(1)


def slow() -> dict[str, str]:
    """Four files of five seconds each. None is like another: that one would not be read again."""
    return {f"slow-{number}.txt": f"slow 5.{next(serial):06}" for number in range(1, 5)}


def figures(page: Page) -> str:
    return page.locator("#overview .figures").inner_text()


class Asked:
    """The requests of a page whose address ends like that: when they were sent."""

    def __init__(self, page: Page, ending: str) -> None:
        self.at: list[float] = []
        self._ending = re.compile(ending)
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if self._ending.search(request.url):
            self.at.append(time.monotonic())

    def within(self, page: Page, seconds: float) -> int:
        """How many more come within so long."""
        before = len(self.at)
        page.wait_for_timeout(seconds * 1000)
        return len(self.at) - before


NEWS = r"/live\?"
NO_EVENTS = "net::ERR_FAILED|ERR_BLOCKED"
SAYS_ONE_THING = """
window.EventSource = class extends EventTarget {
  static CLOSED = 2;
  readyState = 1;
  constructor() {
    super();
    setTimeout(() => this.dispatchEvent(new MessageEvent("still", { data: "{}" })), 100);
  }
  close() {}
};
"""


def test_while_events_come_the_page_asks_when_there_is_news(wendy: Page, workshop: Api) -> None:
    job_id = workshop.submit("By events", {"held.txt": f"hold 40\n{next(serial)}"})
    workshop.wait(job_id, "running")
    asked, streams = Asked(wendy, NEWS), Asked(wendy, "/events$")
    wendy.goto(f"/jobs/{job_id}")
    wendy.wait_for_timeout(2000)
    assert len(streams.at) == 1
    workshop.send("POST", f"/jobs/{job_id}/pause")
    assert asked.within(wendy, 2) >= 1
    assert asked.within(wendy, 6) <= 1, "nothing happened meanwhile"
    workshop.send("POST", f"/jobs/{job_id}/cancel")
    wendy.locator("#news", has_text="Job finished").wait_for(state="attached", timeout=8000)
    wendy.wait_for_timeout(2500)
    assert len(streams.at) == 1, "there is nothing more to hear"


def test_the_list_shows_a_new_job_at_once(wendy: Page, workshop: Api) -> None:
    wendy.goto("/jobs")
    wendy.wait_for_timeout(1500)
    workshop.submit("Fresh off the press", {"fresh.txt": f"Fresh {next(serial)}."})
    wendy.get_by_text("Fresh off the press").wait_for(timeout=3500)


def test_what_is_selected_stays_so_while_the_list_brings_news(wendy: Page, workshop: Api) -> None:
    job_id = workshop.submit("Selected", {"selected.txt": f"Selected {next(serial)}."})
    workshop.wait(job_id)
    wendy.goto("/jobs")
    box = wendy.get_by_label("Select Selected", exact=True)
    box.focus()
    wendy.keyboard.press("Enter")  # does nothing
    wendy.keyboard.press("Space")
    wendy.locator("#chosen", has_text="1 job selected").wait_for()
    workshop.submit("On top of it", {"top.txt": f"On top {next(serial)}."})
    wendy.get_by_text("On top of it").wait_for()
    assert wendy.locator("input[name=jobs]:checked").evaluate_all(
        "all => all.map(e => e.value)"
    ) == [job_id]
    assert wendy.evaluate("document.activeElement.value") == job_id
    assert wendy.locator("#choose-all").evaluate("e => e.indeterminate && !e.checked")
    wendy.get_by_label("Select all on this page").check()
    wendy.get_by_role("button", name="Clear").click()
    wendy.locator("#bulk").wait_for(state="hidden")
    expect(wendy.locator("#choose-all")).to_be_focused()  # after the boxes are emptied


def test_where_events_are_blocked_the_page_asks_as_often_as_ever(
    wendy: Page, workshop: Api, complaints: Complaints
) -> None:
    wendy.route(re.compile("/events$"), lambda route: route.abort())
    job_id = workshop.submit("Behind a wall", slow())
    asked = Asked(wendy, NEWS)
    wendy.goto(f"/jobs/{job_id}")
    seen = hands.watch_the_bar(wendy)
    hands.assert_rises(seen)
    assert len(seen) >= 3, f"the bar did not move: {seen}"
    pauses = [after - before for before, after in zip(asked.at, asked.at[1:], strict=False)]
    assert sorted(pauses)[len(pauses) // 2] < 3
    complaints.expect(NO_EVENTS)


def test_where_events_are_kept_back_the_page_asks_as_often_again(
    wendy: Page, workshop: Api
) -> None:
    job_id = workshop.submit("Behind a dam", {"slow.txt": f"slow 40.{next(serial):06}"})
    workshop.wait(job_id, "running")
    wendy.clock.install()
    wendy.add_init_script(SAYS_ONE_THING)
    asked = Asked(wendy, NEWS)
    wendy.goto(f"/jobs/{job_id}")
    wendy.clock.run_for(12_000)
    wendy.wait_for_timeout(300)
    assert len(asked.at) == 0, "events were promised"
    wendy.clock.run_for(20_000)
    before = len(asked.at)
    for _ in range(4):
        wendy.clock.run_for(1600)
        wendy.wait_for_timeout(300)
    assert len(asked.at) - before >= 3
    workshop.send("POST", f"/jobs/{job_id}/cancel")


def test_a_hidden_tab_holds_no_stream(wendy: Page, workshop: Api) -> None:
    ended: list[str] = []
    wendy.on("requestfailed", lambda request: ended.append(request.url))
    started = Asked(wendy, "/events$")
    wendy.goto("/jobs")
    wait_until(lambda: wendy.wait_for_timeout(100) or started.at)
    hide = "Object.defineProperty(document, 'hidden', { value: %s, configurable: true });"
    told = "document.dispatchEvent(new Event('visibilitychange'));"
    wendy.evaluate(hide % "true" + told)
    wait_until(lambda: wendy.wait_for_timeout(100) or [url for url in ended if "/events" in url])
    assert started.within(wendy, 3) == 0
    wendy.evaluate(hide % "false" + told)
    wait_until(lambda: wendy.wait_for_timeout(100) or len(started.at) == 2)


def test_two_tabs_end_with_the_same_numbers(wendy: Page, workshop: Api) -> None:
    job_id = workshop.submit("In two tabs", slow())
    other = wendy.context.new_page()
    for page in (wendy, other):
        page.goto(f"/jobs/{job_id}")
    assert workshop.job(job_id)["finished_at"] is None
    seen = hands.watch_the_bar(wendy)
    hands.assert_rises(seen)
    assert len(seen) >= 3, f"the bar did not move: {seen}"
    hands.watch_the_bar(other)
    assert figures(wendy) == figures(other)
    assert "4 of 4 done" in figures(wendy)


def test_a_reload_goes_on_where_the_page_was(wendy: Page, workshop: Api) -> None:
    job_id = workshop.submit("Reloaded", slow())
    wendy.goto(f"/jobs/{job_id}")
    wait_until(lambda: wendy.wait_for_timeout(100) or hands.percent(wendy) > 20)
    before = hands.percent(wendy)
    wendy.reload()
    assert hands.percent(wendy) >= before
    assert hands.watch_the_bar(wendy)[-1] == 100


def test_without_a_connection_the_page_says_so_and_goes_on_by_itself(
    wendy: Page, workshop: Api, complaints: Complaints
) -> None:
    job_id = workshop.submit("Under the bridge", slow())
    wendy.goto(f"/jobs/{job_id}")
    banner = wendy.locator("#connection")
    with hands.never_reloaded(wendy):
        with hands.offline(wendy, complaints):
            banner.wait_for()
            assert "No connection" in banner.inner_text()
        banner.wait_for(state="hidden", timeout=30_000)
        assert hands.watch_the_bar(wendy)[-1] == 100


def test_who_signs_out_in_another_tab_is_told_where_to_sign_in(
    context_for: ContextFor, up: Service, stage: Stage, workshop: Api, complaints: Complaints
) -> None:
    job_id = workshop.submit("Signed out", {"slow.txt": "slow 20"})
    page = context_for().new_page()
    chromium.sign_in(page, up.url, *stage.person("wendy"))
    chromium.switch_to(page, "Workshop")
    page.goto(f"/jobs/{job_id}")
    other = page.context.new_page()
    other.goto("/jobs")
    other.locator("details.account > summary").click()
    other.get_by_role("button", name="Sign out").click()
    other.get_by_text("You are signed out.").wait_for()
    page.locator("#connection", has_text="You were signed out.").wait_for()
    page.get_by_role("link", name="Sign in again").click()
    page.get_by_label("E-mail address").fill("wendy@example.com")
    page.get_by_label("Password").fill(stage.person("wendy")[1])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Signed out").wait_for()
    complaints.expect("status of 401|Status Error Code 401")
