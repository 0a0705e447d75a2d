"""The bell: it goes up by itself within half a minute, in both sidebars, and keeps calm."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.browser import chromium, hands
from tests.browser.chromium import Complaints
from tests.browser.conftest import ContextFor
from tests.browser.service import SETTLED, Api, Service, wait_until
from tests.browser.stage import Stage

pytestmark = pytest.mark.timeout(180)

HALF_A_MINUTE = 30_000
BUBBLE = "#badge > span[aria-hidden]"
HIDDEN = "Object.defineProperty(document, 'hidden', {configurable: true, get: () => %s})"


@pytest.fixture(autouse=True)
def nothing_else_is_told(workshop: Api) -> None:
    """What other tests have sent ends first: they may leave before it has."""
    wait_until(lambda: all(job["state"] in SETTLED for job in workshop.jobs()))


def count(page: Page) -> int:
    """What the bell says."""
    label = page.locator("#badge").get_attribute("data-label")
    return int((label or "0").rstrip("+"))


def hide(page: Page, is_hidden: bool) -> None:
    page.evaluate(HIDDEN % str(is_hidden).lower())
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def ended(workshop: Api, name: str) -> str:
    """The id of a job of Wendy's that was just read."""
    job_id = workshop.submit(name, {"note.txt": f"{name} {time.time_ns()}"})
    workshop.wait(job_id)
    return job_id


@contextmanager
def asked(page: Page) -> Iterator[list[Request]]:
    """What the page asks of the bell within the block."""
    seen: list[Request] = []
    listen = lambda request: seen.append(request) if "/badge" in request.url else None  # noqa: E731
    page.on("request", listen)
    yield seen
    page.remove_listener("request", listen)


def test_the_bell_goes_up_within_half_a_minute_in_both_sidebars(
    context_for: ContextFor, workshop: Api
) -> None:
    pages = [context_for("wendy", reduced_motion="no-preference").new_page() for _ in range(2)]
    for page in pages:
        page.goto("/jobs")
    pages[1].locator("[data-sidebar-toggle]").click()
    before = [count(page) for page in pages]
    ended(workshop, "Told within half a minute")
    started = time.monotonic()
    for page, was in zip(pages, before, strict=True):
        with hands.never_reloaded(page):
            expect(page.locator("#badge")).to_have_attribute(
                "data-label", str(was + 1), timeout=HALF_A_MINUTE + 2000
            )
        bubble = page.locator(BUBBLE)
        assert bubble.is_visible()
        assert bubble.inner_text() == str(was + 1)
        assert page.title() == f"({was + 1}) Jobs - Docmill"
        expect(page.locator("#said")).to_have_text(re.compile(rf"^{was + 1} unread notification"))
        name = page.locator("#badge").evaluate("each => getComputedStyle(each).animationName")
        assert name == "arrive"
    assert time.monotonic() - started < HALF_A_MINUTE / 1000 + 5
    wide, narrow = (page.locator("header.side").bounding_box() for page in pages)
    assert wide
    assert narrow
    assert narrow["width"] < wide["width"] / 2
    box = pages[1].locator(BUBBLE).bounding_box()
    assert box
    assert box["x"] >= narrow["x"]
    assert box["x"] + box["width"] <= narrow["width"]


def test_a_bell_in_which_nothing_changes_costs_no_body(wendy: Page) -> None:
    wendy.clock.install()
    wendy.goto("/jobs")
    with asked(wendy) as seen:
        wendy.clock.run_for(HALF_A_MINUTE - 1000)
        assert not seen
        wendy.clock.run_for(2000)
        wait_until(lambda: wendy.wait_for_timeout(50) or bool(seen and seen[0].response()))
    answer = seen[0].response()
    assert answer
    assert answer.status == 304


def test_news_are_drawn_into_the_open_list_and_reading_drops_the_bell_at_once(
    wendy: Page, workshop: Api, complaints: Complaints
) -> None:
    wendy.clock.install()
    wendy.goto("/notifications")
    was = count(wendy)
    job_id = ended(workshop, "Drawn into the list")
    with hands.never_reloaded(wendy):
        wendy.clock.run_for(HALF_A_MINUTE + 1000)
        link = wendy.get_by_role("link", name="Drawn into the list: finished")
        link.wait_for()
        assert count(wendy) == was + 1
        # Without motion where people asked for none.
        assert wendy.locator("#badge").evaluate("e => getComputedStyle(e).animationName") == "none"
        mark = wendy.get_by_role("button", name="Mark as read: Drawn into the list")
        hands.tab_to(wendy, mark)
        wendy.keyboard.press("Enter")
        unmark = wendy.get_by_role("button", name="Mark as unread: Drawn into the list")
        unmark.wait_for()
        assert count(wendy) == was
        assert hands.has_focus(unmark), "who marks one after the other keeps their place"
        expected = f"({was}) Notifications - Docmill" if was else "Notifications - Docmill"
        assert wendy.title() == expected
        expect(unmark).not_to_have_attribute("aria-disabled", "true")
        wendy.keyboard.press("Enter")
        mark.wait_for()
        assert count(wendy) == was + 1
    link.click()
    wendy.wait_for_url(f"**/jobs/{job_id}")
    assert count(wendy) == was


def test_all_are_marked_at_once(wendy: Page, workshop: Api) -> None:
    ended(workshop, "Marked with all others")
    wendy.goto("/notifications?show=unread")
    assert count(wendy) >= 1
    wendy.get_by_role("button", name="Mark all as read").click()
    wendy.get_by_role("heading", name="Everything is read").wait_for()
    assert count(wendy) == 0
    assert not wendy.locator("#badge").is_visible()
    expect(wendy).to_have_title("Notifications - Docmill")  # written once the page has settled


def test_two_tabs_show_the_same(wendy: Page, workshop: Api) -> None:
    other = wendy.context.new_page()
    for page in (other, wendy):
        page.goto("/jobs")
    ended(workshop, "In both tabs")
    wendy.goto("/notifications")
    expect(other.locator("#badge")).to_have_attribute("data-label", str(count(wendy)))
    wendy.get_by_role("button", name="Mark all as read").click()
    wendy.get_by_role("button", name="Mark as unread").first.wait_for()
    wendy.goto("/jobs")
    expect(other.locator("#badge")).to_have_attribute("data-label", "")


def test_a_hidden_tab_rests_and_asks_when_it_is_seen_again(wendy: Page) -> None:
    wendy.clock.install()
    wendy.goto("/jobs")
    with asked(wendy) as seen:
        hide(wendy, is_hidden=True)
        wendy.clock.run_for(10 * HALF_A_MINUTE)
        wendy.wait_for_timeout(200)
        assert not seen
        hide(wendy, is_hidden=False)
        wait_until(lambda: wendy.wait_for_timeout(50) or len(seen) == 1)


def test_while_the_server_is_away_it_asks_less_and_less(
    wendy: Page, complaints: Complaints
) -> None:
    wendy.clock.install()
    wendy.goto("/jobs")
    refused: list[float] = []

    def refuse(route: Route) -> None:
        refused.append(time.monotonic())
        route.fulfill(status=429, headers={"Retry-After": "100"}, body="")

    wendy.route("**/notifications/badge", refuse)

    def asks_after(milliseconds: int) -> bool:
        before = len(refused)
        wendy.clock.run_for(milliseconds)
        wendy.wait_for_timeout(200)
        return len(refused) > before

    assert asks_after(HALF_A_MINUTE + 500)
    assert not asks_after(95_000), "the server said when to come back"
    assert asks_after(10_000)
    assert not asks_after(190_000), "and each time later"
    assert asks_after(20_000)
    wendy.unroute("**/notifications/badge")
    with asked(wendy) as seen:
        wendy.clock.run_for(410_000)
        wait_until(lambda: wendy.wait_for_timeout(50) or len(seen) == 1)
        wendy.wait_for_timeout(300)
        wendy.clock.run_for(HALF_A_MINUTE + 500)
        wait_until(lambda: wendy.wait_for_timeout(50) or len(seen) == 2)
    complaints.expect("status of 429")


def test_who_was_signed_out_is_told_so_and_keeps_the_page(
    context_for: ContextFor, up: Service, stage: Stage, complaints: Complaints
) -> None:
    page = context_for().new_page()
    page.clock.install()
    chromium.sign_in(page, up.url, *stage.person("wendy"))
    page.goto("/jobs")
    page.context.clear_cookies()
    with hands.never_reloaded(page):
        page.clock.run_for(HALF_A_MINUTE + 500)
        page.locator("#connection", has_text="You were signed out.").wait_for()
    assert page.get_by_role("heading", name="No jobs yet").is_visible()
    complaints.expect("status of 401|Status Error Code 401")
