"""What is around every page: organizations, sidebar, colours, menus."""

from playwright.sync_api import Page

from tests.browser import chromium, hands, people
from tests.browser.conftest import ContextFor
from tests.browser.service import Service
from tests.browser.stage import Stage

SHIFTS = """
() => new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => {
    for (const each of list.getEntries()) sum += each.value;
  }).observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done(sum), 500);
})
"""


def first_line(page: Page) -> str:
    """The opening of the page's HTML as the server sends it, before any script."""
    answer = page.context.request.get(page.url)
    return answer.text().partition("<head>")[0]


def test_another_organization_shows_its_own_jobs(
    context_for: ContextFor, up: Service, stage: Stage
) -> None:
    page = context_for().new_page()
    chromium.sign_in(page, up.url, *stage.person("carla"))
    chromium.switch_to(page, people.OFFICE)
    page.goto("/jobs")
    page.get_by_role("link", name="By mistake").wait_for()
    chromium.switch_to(page, "Carla")
    page.goto("/jobs")
    page.get_by_role("heading", name="No jobs yet").wait_for()
    assert page.request.get(f"/jobs/{stage.ids['partial']}").status == 404


def test_the_collapsed_sidebar_is_remembered_and_right_at_first_paint(wendy: Page) -> None:
    wendy.goto("/jobs")
    side = wendy.locator("header.side")
    wide = side.bounding_box()
    wendy.locator("[data-sidebar-toggle]").click()
    narrow = side.bounding_box()
    assert wide
    assert narrow
    assert narrow["width"] < wide["width"] / 2
    assert 'data-sidebar="collapsed"' in first_line(wendy)
    wendy.reload()
    assert side.bounding_box() == narrow
    assert wendy.evaluate(SHIFTS) == 0
    assert wendy.locator("[data-sidebar-toggle]").get_attribute("aria-expanded") == "false"


def test_the_colours_are_remembered_and_right_at_first_paint(wendy: Page) -> None:
    wendy.goto("/jobs")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = wendy.evaluate(ground)
    wendy.locator("details.account > summary").click()
    wendy.get_by_role("button", name="Dark").click()
    dark = wendy.evaluate(ground)
    assert dark != light
    assert 'data-theme="dark"' in first_line(wendy)
    wendy.reload()
    assert wendy.evaluate(ground) == dark


def test_a_menu_closes_with_escape_and_gives_the_focus_back(wendy: Page) -> None:
    wendy.goto("/jobs")
    opener = wendy.locator("details.account > summary")
    hands.tab_to(wendy, opener)
    wendy.keyboard.press("Enter")
    hands.tab_to(wendy, wendy.get_by_role("button", name="Sign out"))
    wendy.keyboard.press("Escape")
    assert hands.has_focus(opener)
    assert not wendy.get_by_role("button", name="Sign out").is_visible()


def test_a_menu_that_is_left_with_tab_does_not_hide_what_has_the_focus(wendy: Page) -> None:
    wendy.goto("/jobs")
    opener = wendy.locator("details.organization > summary")
    hands.tab_to(wendy, opener)
    wendy.keyboard.press("Enter")
    last = wendy.get_by_role("link", name="New organization")
    hands.tab_to(wendy, last)
    assert last.is_visible()
    wendy.keyboard.press("Tab")
    assert hands.has_focus(wendy.get_by_role("link", name="New job").first)
    assert not last.is_visible()
