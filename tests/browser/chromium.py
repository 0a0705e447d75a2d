"""An installed Chromium, and what its pages complain about."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import axe_playwright_python
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    sync_playwright,
)

ROOT = Path(__file__).resolve().parents[2]
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
DESKTOP = {"width": 1280, "height": 800}
QUIET = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => console.error(
  `Content-Security-Policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


class NoBrowser(Exception):
    """The text says what is missing and how one gets it."""


def executable() -> str:
    """The browser's path. Raises NoBrowser."""
    found = subprocess.run(
        [ROOT / ".ci/find-chromium"], capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise NoBrowser(found.stderr.strip())
    return found.stdout.strip()


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with an empty profile. Raises NoBrowser."""
    path = executable()
    flags = [*QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=flags)
        yield started
        started.close()


class Complaints:
    """What pages say is wrong: errors and warnings of the console, errors of scripts, violations
    of the content policy, requests to anywhere but the service at `url`."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc
        self._lines: list[str] = []

    def watch(self, context: BrowserContext) -> None:
        """Listens to all pages of `context`, those to come too."""
        context.add_init_script(TELL_VIOLATIONS)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self._lines.append(f"script error: {error.error}"))
        context.on("request", self._on_request)

    def take(self) -> list[str]:
        """Those since the last call."""
        taken, self._lines = self._lines, []
        return taken

    def expect(self, pattern: str | re.Pattern[str]) -> None:
        """Takes those so far, each of which must have `pattern` in it."""
        others = [line for line in self.take() if not re.search(pattern, line)]
        assert not others, "\n".join(others)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._lines.append(f"{message.type}: {message.text} ({message.location['url']})")

    def _on_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme != "blob" and address.netloc != self._host:
            self._lines.append(f"request to elsewhere: {request.url}")


def sign_in(page: Page, url: str, email: str, password: str) -> None:
    page.goto(f"{url}/sign-in")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda address: "/sign-in" not in address)


def switch_to(page: Page, organization: str) -> None:
    """Works in another organization from now on; `page` is one of the service's."""
    page.locator("details.organization > summary").click()
    page.locator("details.organization").get_by_role("button", name=organization).click()
    page.get_by_text(f"You now work in {organization}.").wait_for()
