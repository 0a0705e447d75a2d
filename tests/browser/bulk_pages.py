"""Jobs that are selected in the list, and exports of several: as `pages` has the others."""

from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.shown import Shown


def select_jobs(*then: str) -> Callable[[Page], None]:
    """The first three of the list; then clicks on each of `then`."""

    def select(page: Page) -> None:
        for place in range(3):
            page.locator("input[name=jobs]").nth(place).check()
        for selector in then:
            page.locator(selector).click()

    return select


def select_all(page: Page) -> None:
    page.get_by_label("Select all on this page").check()


def ask_about_all(verb: str) -> Callable[[Page], None]:
    """What is asked before something is done to all jobs of the page."""

    def ask(page: Page) -> None:
        select_all(page)
        page.locator(f"#bulk button[value={verb}]").click()
        page.locator(".confirm").wait_for()

    return ask


def pause_what_ended(page: Page) -> None:
    """What cannot be done is told with its reason."""
    select_jobs("#bulk button[value=pause]")(page)
    page.locator(".messages").wait_for()


BULK = (
    Shown("jobs selected", "/jobs", prepare=select_jobs()),
    Shown("jobs selected, all", "/jobs?state=failed", prepare=select_all),
    Shown("jobs selected, export", "/jobs", prepare=select_jobs("#bulk-export > summary")),
    Shown("jobs, could not be paused", "/jobs?state=failed", prepare=pause_what_ended),
    Shown("jobs to be deleted", "/jobs?state=failed", prepare=ask_about_all("delete")),
    Shown("exports", "/exports"),
    Shown("exports empty", "/exports", "nora"),
    Shown("exports of a reader", "/exports", "rita"),
)
