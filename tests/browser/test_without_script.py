"""Everything that a form can do works in a browser that runs no scripts."""

from playwright.sync_api import Page

from tests.browser import chromium, hands
from tests.browser.conftest import ContextFor
from tests.browser.service import Api, Service
from tests.browser.stage import Stage


def test_a_job_is_sent_looked_at_and_deleted(
    context_for: ContextFor, up: Service, stage: Stage, workshop: Api
) -> None:
    page = context_for(java_script_enabled=False).new_page()
    chromium.sign_in(page, up.url, *stage.person("wendy"))
    chromium.switch_to(page, "Workshop")
    page.get_by_role("link", name="New job").first.click()
    page.locator("#files").set_input_files(hands.sample_paths(("knots.txt", "locked.pdf")))
    page.get_by_label("Job name").fill("By the form alone")
    page.get_by_role("button", name="Send").click()
    job_id = hands.job_id_of(page)
    workshop.wait(job_id)
    page.reload()
    assert page.locator(".page-head .state").inner_text() == "Partly failed"
    assert "1 succeeded, 1 failed" in page.locator("#overview").inner_text()
    ask_and_delete(page)
    assert workshop.status(f"/jobs/{job_id}") == 404


def ask_and_delete(page: Page) -> None:
    page.locator("#delete").click()
    page.wait_for_url("**/delete")
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("Deleted: By the form alone.").wait_for()


def test_the_colours_and_the_sidebar_are_remembered(context_for: ContextFor) -> None:
    page = context_for("wendy", java_script_enabled=False).new_page()
    page.goto("/jobs")
    page.locator("details.account > summary").click()
    page.get_by_role("button", name="Dark").click()
    page.locator("[data-sidebar-toggle]").click()
    page.locator("html[data-theme=dark][data-sidebar=collapsed]").wait_for(state="attached")
    assert page.url.endswith("/jobs")
