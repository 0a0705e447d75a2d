"""Pages that are open while things change: in several tabs, without a connection, signed out."""

from itertools import count

import pytest
from playwright.sync_api import Page

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
