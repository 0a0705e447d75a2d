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


def test_jobs_are_selected_and_exported_together(
    context_for: ContextFor, up: Service, stage: Stage, workshop: Api
) -> None:
    for number in (1, 2):
        job_id = workshop.submit(f"Plain {number}", {"plain.txt": f"Plain text {number}."})
        workshop.wait(job_id)
    page = context_for(java_script_enabled=False).new_page()
    chromium.sign_in(page, up.url, *stage.person("wendy"))
    chromium.switch_to(page, "Workshop")
    page.goto(f"{up.url}/jobs?q=Plain")
    assert page.locator("#bulk").is_hidden()
    for number in (1, 2):
        page.get_by_label(f"Select Plain {number}").check()
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("There is nothing left to pause.").wait_for()
    assert page.url.endswith("/jobs?q=Plain")
    for number in (1, 2):
        page.get_by_label(f"Select Plain {number}").check()
    page.locator("#bulk-export > summary").click()
    page.get_by_role("button", name="CSV").click()
    page.get_by_text("CSV of 2 jobs is being built.").wait_for()
    assert page.get_by_text("Plain 1 and 1 more job").is_visible()
