"""Draws the pictures of the README into docs/images: `make pictures`.

Starts a service of its own on a temporary directory, with some documents read and a job under
way, and takes the pictures with an installed Chromium.
"""

import sys
from pathlib import Path

from playwright.sync_api import Page

from tests.browser import chromium, hands, service

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
SIZE = {"width": 1280, "height": 800}
MAX_BYTES = 200_000
ARE_LOADED = "[...document.images].every((each) => each.naturalWidth)"
PAST = {
    "Harbour office, March": ("tides-cp1252.csv", "tides-utf16.csv", "harbour-log.pdf"),
    "House rules": ("hausordnung.pdf",),
    "Knots for beginners": ("knots.txt", "notice.html"),
    "Invoices to check": ("invoice-scan.pdf", "survey.png"),
    "Winter store": ("damaged.pdf",),
    "Recipes": ("recipe.docx",),
    "Orders": ("order.eml", "parking-photo.jpg"),
    "Autumn mail": ("order.eml", "letter-with-scan.pdf", "locked.pdf", "recipe.docx"),
}
LOGBOOK = {f"logbook-1987-{month:02}.txt": f"slow {2 * month}" for month in range(1, 13)}


def main() -> None:
    settings = {"EXTRA_PROCESSORS": "tests.browser.staging.StagingProcessor"}
    with service.running(**settings) as up, chromium.browser() as browser:
        api = service.Api(up.client, (up.data / "api_key").read_text().strip())
        for name, files in PAST.items():
            api.wait(api.submit(name, samples(*files)))
        page = browser.new_page(base_url=up.url, viewport=SIZE, color_scheme="light")
        chromium.sign_in(page, up.url, *up.admin)
        draw(page, api)
        up.stop()


def draw(page: Page, api: service.Api) -> None:
    """The running job in dark, the list of jobs and a file in light."""
    first = samples("harbour-log.pdf", "damaged.pdf", "invoice-scan.pdf", "order.eml")
    page.goto(f"/jobs/{api.submit('Logbook 1987', {**first, **LOGBOOK})}")
    service.wait_until(lambda: hands.percent(page) >= 50, seconds=60)
    page.emulate_media(color_scheme="dark")
    keep(page, "job.png")
    page.emulate_media(color_scheme="light")
    page.goto("/jobs")
    keep(page, "jobs.png")
    [autumn] = [job["id"] for job in api.jobs() if job["name"] == "Autumn mail"]
    page.goto(f"/files/{api.files(autumn)['letter-with-scan.pdf']['id']}")
    keep(page, "file.png")


def samples(*names: str) -> dict[str, bytes]:
    return {name: (service.SAMPLES / name).read_bytes() for name in names}


def keep(page: Page, name: str) -> None:
    service.wait_until(lambda: page.evaluate(ARE_LOADED))
    page.wait_for_timeout(2000)  # the news of the last beat are drawn, and the bars have grown
    IMAGES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=IMAGES / name)
    size = (IMAGES / name).stat().st_size
    print(f"docs/images/{name}: {size // 1000} kB")
    if size > MAX_BYTES:
        sys.exit(f"{name} is larger than {MAX_BYTES // 1000} kB")


if __name__ == "__main__":
    main()
