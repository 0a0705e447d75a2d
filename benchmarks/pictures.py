"""Draws the pictures of the README into docs/images: `make pictures`.

Starts a service of its own on a temporary directory, with the sample documents read and a job
under way, and takes the pictures with an installed Chromium.
"""

import sys
from pathlib import Path

from playwright.sync_api import Page

from tests.browser import chromium, service
from tests.browser.stage import SAMPLES

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
SIZE = {"width": 1280, "height": 800}
MAX_BYTES = 200_000
PAST = {
    "Harbour office, March": ("tides-cp1252.csv", "tides-utf16.csv", "harbour-log.pdf"),
    "House rules": ("hausordnung.pdf",),
    "Knots for beginners": ("knots.txt", "notice.html"),
    "Autumn mail": ("order.eml", "letter-with-scan.pdf", "locked.pdf", "recipe.docx"),
    "Invoices to check": ("invoice-scan.pdf", "survey.png"),
}
UNDER_WAY = {f"sheet-{number:02}.txt": f"slow {number}" for number in range(2, 26, 2)}


def main() -> None:
    settings = {"EXTRA_PROCESSORS": "tests.browser.staging.StagingProcessor"}
    with service.running(**settings) as up, chromium.browser() as browser:
        key = (up.data / "api_key").read_text().strip()
        api = service.Api(up.client, key)
        for name, files in PAST.items():
            api.wait(api.submit(name, {each: (SAMPLES / each).read_bytes() for each in files}))
        page = browser.new_page(base_url=up.url, viewport=SIZE, color_scheme="light")
        chromium.sign_in(page, up.url, *up.admin)
        draw(page, api)
        up.stop()


def draw(page: Page, api: service.Api) -> None:
    """The list of jobs and a file in light, the running job in dark."""
    running = api.submit("Logbook 1987", UNDER_WAY)
    page.goto(f"/jobs/{running}")
    page.wait_for_function(
        "Number(document.querySelector('#overview .bar').ariaValueNow) >= 35", timeout=60_000
    )
    page.emulate_media(color_scheme="dark")
    keep(page, "job.png")
    page.emulate_media(color_scheme="light")
    page.goto("/jobs")
    keep(page, "jobs.png")
    [autumn] = [job["id"] for job in api.jobs() if job["name"] == "Autumn mail"]
    page.goto(f"/files/{api.files(autumn)['letter-with-scan.pdf']['id']}")
    keep(page, "file.png")


def keep(page: Page, name: str) -> None:
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(600)  # the bars have stopped growing
    IMAGES.mkdir(exist_ok=True)
    page.screenshot(path=IMAGES / name)
    size = (IMAGES / name).stat().st_size
    print(f"docs/images/{name}: {size // 1000} kB")
    if size > MAX_BYTES:
        sys.exit(f"{name} is larger than {MAX_BYTES // 1000} kB")


if __name__ == "__main__":
    main()
