"""The main job, once with the mouse and once with the keyboard alone."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser import hands
from tests.browser.service import Api, wait_until

pytestmark = pytest.mark.timeout(240)


def failed_again(workshop: Api, job_id: str, name: str) -> bool:
    file = workshop.files(job_id)[name]
    return (file["state"], file["attempts"]) == ("failed", 2)


def assert_is_read(job: dict[str, Any], archive: Path) -> None:
    """Eight of the ten are read, and what is attached to one of them; two are not. The ZIP holds
    the texts of the nine."""
    assert job["state"] == "partial"
    assert (job["counts"]["succeeded"], job["counts"]["failed"]) == (9, 2)
    with zipfile.ZipFile(archive) as bundle:
        assert bundle.testzip() is None
        names = bundle.namelist()
    assert "manifest.json" in names
    texts = [name for name in names if name.endswith(".txt")]
    assert len(texts) == 9, names
    assert not any(name in text for text in texts for name in hands.UNREADABLE)


def test_ten_files_are_dropped_read_looked_at_fetched_and_deleted(
    wendy: Page, workshop: Api, tmp_path: Path
) -> None:
    wendy.goto("/jobs/new")
    hands.drop(wendy, wendy.locator("#drop"), hands.sample_paths())
    wendy.locator("#rows > li").nth(9).wait_for()
    wendy.get_by_label("Job name").fill("Ten with the mouse")
    wendy.get_by_role("button", name="Send 10 files").click()
    job_id = hands.job_id_of(wendy)
    with hands.never_reloaded(wendy):
        hands.assert_rises(hands.watch_the_bar(wendy))
    assert wendy.locator(".page-head .state").inner_text() == "Partly failed"
    assert "9 succeeded, 2 failed" in wendy.locator("#news").inner_text()

    wendy.get_by_role("link", name="locked.pdf").click()
    trouble = wendy.locator("#live .notice")
    assert "password" in trouble.inner_text().lower()
    assert "What to do:" in trouble.inner_text()
    wendy.get_by_role("button", name="Run again").click()
    wait_until(lambda: failed_again(workshop, job_id, "locked.pdf"))
    wendy.locator("#attempts tbody tr").nth(1).wait_for()
    wendy.locator("#live .notice", has_text="What to do:").wait_for()

    wendy.locator(".crumbs").get_by_role("link", name="Ten with the mouse").click()
    with wendy.expect_download() as download:
        wendy.get_by_role("link", name="Download ZIP").click()
    archive = tmp_path / "results.zip"
    download.value.save_as(archive)
    assert_is_read(workshop.job(job_id), archive)

    wendy.locator("#delete").click()
    wendy.get_by_role("dialog").get_by_role("button", name="Delete").click()
    wendy.wait_for_url("**/jobs")
    wendy.get_by_text("Deleted: Ten with the mouse.").wait_for()
    assert not wendy.locator("#list").get_by_text("Ten with the mouse").count()
    assert workshop.status(f"/jobs/{job_id}") == 404


def test_the_same_with_the_keyboard_alone(wendy: Page, workshop: Api, tmp_path: Path) -> None:
    wendy.goto("/")
    wendy.keyboard.press("Tab")
    assert hands.has_focus(wendy.get_by_role("link", name="Skip to the content"))
    wendy.keyboard.press("Enter")
    assert hands.has_focus(wendy.locator("main"))
    hands.tab_to(wendy, wendy.locator(".nav-new"), key="Shift+Tab")
    wendy.keyboard.press("Enter")
    wendy.wait_for_url("**/jobs/new")

    job_id = choose_and_send(wendy)
    focused = wendy.locator(".crumbs a")
    hands.tab_to(wendy, focused)
    with hands.never_reloaded(wendy):
        hands.assert_rises(hands.watch_the_bar(wendy))
    assert hands.has_focus(focused), "the page took the focus away when it drew its news"

    hands.tab_to(wendy, wendy.get_by_role("link", name="damaged.pdf"))
    wendy.keyboard.press("Enter")
    wendy.wait_for_url("**/files/*")
    hands.tab_to(wendy, wendy.get_by_role("button", name="Run again"))
    wendy.keyboard.press("Space")
    wait_until(lambda: failed_again(workshop, job_id, "damaged.pdf"))
    wendy.locator("#attempts tbody tr").nth(1).wait_for()
    hands.tab_to(wendy, wendy.locator(".crumbs a").nth(1))
    wendy.keyboard.press("Enter")
    wendy.wait_for_url(f"**/jobs/{job_id}")

    hands.tab_to(wendy, wendy.locator("#download-zip"))
    with wendy.expect_download() as download:
        wendy.keyboard.press("Enter")
    archive = tmp_path / "results.zip"
    download.value.save_as(archive)
    assert_is_read(workshop.job(job_id), archive)
    delete_at_second_thought(wendy)
    assert workshop.status(f"/jobs/{job_id}") == 404


def choose_and_send(page: Page) -> str:
    """The id of a new job of the ten samples."""
    hands.tab_to(page, page.locator("#files"))
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(hands.sample_paths())
    page.locator("#rows > li").nth(9).wait_for()
    hands.tab_to(page, page.get_by_label("Job name"))
    page.keyboard.type("Ten with the keyboard")
    page.keyboard.press("Enter")
    return hands.job_id_of(page)


def delete_at_second_thought(page: Page) -> None:
    """Escape closes the question and gives the focus back; asked again, it is answered."""
    opener = page.locator("#delete")
    hands.tab_to(page, opener)
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    assert hands.has_focus(opener)
    page.keyboard.press("Enter")
    hands.tab_to(page, page.get_by_role("dialog").get_by_role("button", name="Delete"))
    page.keyboard.press("Space")
    page.get_by_text("Deleted: Ten with the keyboard.").wait_for()
