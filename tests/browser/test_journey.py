"""Twenty files whose worker is killed on the way, once with the mouse and once with the keyboard.

On a service of its own: on that of the other tests a killed worker would let go of the files that
are held there."""

import json
import os
import signal
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import hands, people, service
from tests.browser.conftest import ContextFor, SignedIn, signing_in
from tests.browser.service import SAMPLES, Api, Service, wait_until
from tests.browser.stage import Stage

pytestmark = pytest.mark.timeout(360)

REAL = (
    "knots.txt",
    "notice.html",
    "recipe.docx",
    "harbour-log.pdf",
    "hausordnung.pdf",
    "invoice-scan.pdf",
    "tides-cp1252.csv",
    "tides-utf16.csv",
)
SLOW = tuple(f"log-{number:02}.txt" for number in range(1, 13))
TWENTY = (*REAL, *SLOW)
WORKER = "manage.py work --lanes default"
HALF_A_MINUTE = 30_000
TO_ANSWER = 2_000
"""The bell asks every half a minute; then the server takes its time to answer."""

ROSE = "first => Number(document.querySelector('#overview .bar').ariaValueNow) > first"
STAYS = "each => each === document.activeElement && each.isConnected"
Windows = Callable[[str], tuple[Page, Page]]


class Hand(Protocol):
    """How somebody gets at what is on a page."""

    def reach(self, target: Locator) -> None: ...

    def press(self, target: Locator) -> None: ...

    def fill(self, target: Locator, text: str) -> None: ...

    def give(self, page: Page, paths: Sequence[Path]) -> None: ...


class Mouse:
    """And the keys that write."""

    def reach(self, target: Locator) -> None:
        target.hover()

    def press(self, target: Locator) -> None:
        target.click()

    def fill(self, target: Locator, text: str) -> None:
        target.click()
        target.page.keyboard.type(text)

    def give(self, page: Page, paths: Sequence[Path]) -> None:
        hands.drop(page, page.locator("#drop"), paths)


class Keys:
    """Nothing but the keyboard, and at every step it shows where it is."""

    def reach(self, target: Locator) -> None:
        hands.tab_to(target.page, target)

    def press(self, target: Locator) -> None:
        self.reach(target)
        target.page.keyboard.press("Enter")

    def fill(self, target: Locator, text: str) -> None:
        self.reach(target)
        target.page.keyboard.type(text)

    def give(self, page: Page, paths: Sequence[Path]) -> None:
        self.reach(page.locator("#files"))
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Space")
        chooser.value.set_files(paths)


@pytest.fixture(scope="module")
def up() -> Iterator[Service]:
    with service.running(EXTRA_PROCESSORS="tests.browser.staging.StagingProcessor") as running:
        yield running
        running.stop()
        assert "Traceback" not in running.web_log, running.web_log[-4000:]


@pytest.fixture(scope="module")
def stage(up: Service) -> Stage:
    keys = json.loads(up.call("from tests.browser import people; people.make()"))
    return Stage(up, keys, {})


@pytest.fixture(scope="module")
def signed_in(up: Service, stage: Stage, browser: Browser) -> SignedIn:
    return signing_in(up, stage, browser)


@pytest.fixture
def windows(context_for: ContextFor) -> Windows:
    """Two windows of somebody's: profiles of their own, so that each has to ask for itself."""

    def opened(name: str) -> tuple[Page, Page]:
        pages = context_for(name).new_page(), context_for(name).new_page()
        for page in pages:
            page.goto("/jobs")
        return pages

    return opened


@dataclass(frozen=True)
class Journey:
    """From the files to their results, in two windows of one person: the sidebar is wide in one
    and narrow in the other."""

    name: str
    hand: Hand
    wide: Page
    narrow: Page
    service: Service
    api: Api

    def make(self, folder: Path) -> None:
        self.hand.press(self.narrow.locator("[data-sidebar-toggle]"))
        before = [bell(page) for page in (self.wide, self.narrow)]
        job_id = self.send(folder)
        self.hand.reach(self.wide.locator(".crumbs a"))
        with stays(self.wide), stays(self.narrow):
            self.watch_the_worker_die(job_id)
            self.hear_of_it(before)
        self.open_from_the_bell(job_id)
        assert_holds_all(self.fetch(folder))

    def send(self, folder: Path) -> str:
        """The id of the new job."""
        self.hand.press(self.wide.locator(".nav-new"))
        self.wide.wait_for_url("**/jobs/new")
        self.hand.give(self.wide, write(folder))
        expect(self.wide.locator("#rows > li")).to_have_count(20)
        self.hand.fill(self.wide.get_by_label("Job name"), self.name)
        self.hand.press(self.wide.get_by_role("button", name="Send 20 files"))
        return hands.job_id_of(self.wide)

    def watch_the_worker_die(self, job_id: str) -> None:
        seen = until_it_moves(self.wide)
        wait_until(lambda: running(self.api, job_id))
        kill_the_worker(self.service)
        at_the_kill = hands.percent(self.wide)
        seen += [at_the_kill, *hands.watch_the_bar(self.wide, seconds=150)]
        hands.assert_rises(seen)
        assert at_the_kill < 100
        assert "20 of 20 done" in self.wide.locator("#overview .figures").inner_text()
        files = self.api.files(job_id)
        assert set(files) == set(TWENTY)
        assert {each["state"] for each in files.values()} == {"succeeded"}
        assert any(each["attempts"] > 1 for each in files.values()), "the kill hurt nothing"

    def hear_of_it(self, before: list[int]) -> None:
        """In both sidebars, within half a minute of the end."""
        until = time.monotonic() + (HALF_A_MINUTE + TO_ANSWER) / 1000
        for page, was in zip((self.wide, self.narrow), before, strict=True):
            left = max(1, 1000 * (until - time.monotonic()))
            bubble = page.locator("#badge > span[aria-hidden]")
            expect(bubble).to_have_text(str(was + 1), timeout=left)
            expect(bubble).to_be_in_viewport(ratio=1)
        assert width(self.narrow) < width(self.wide) / 2

    def open_from_the_bell(self, job_id: str) -> None:
        unread = bell(self.wide)
        self.hand.press(self.wide.locator(".nav-bell"))
        self.wide.wait_for_url("**/notifications")
        self.hand.press(self.wide.get_by_role("link", name=f"{self.name}: finished"))
        self.wide.wait_for_url(f"**/jobs/{job_id}")
        expect(self.wide.get_by_role("heading", name=self.name)).to_be_visible()
        assert bell(self.wide) == unread - 1

    def fetch(self, folder: Path) -> Path:
        """The ZIP of the job that is open."""
        with self.wide.expect_download() as download:
            self.hand.press(self.wide.get_by_role("link", name="Download ZIP"))
        archive = folder / "results.zip"
        download.value.save_as(archive)
        return archive


def write(folder: Path) -> list[Path]:
    """Eight real documents, and twelve texts of three seconds each. None is like another: that
    one would not be read again."""
    chosen = folder / "chosen"
    chosen.mkdir()
    for name in REAL:
        (chosen / name).write_bytes((SAMPLES / name).read_bytes())
    for number, name in enumerate(SLOW, start=1):
        (chosen / name).write_text(f"slow 3.{number:06}")
    return [chosen / name for name in TWENTY]


@contextmanager
def stays(page: Page) -> Iterator[None]:
    """The page is not loaded anew within the block, and leaves the focus where it is."""
    focused = page.evaluate_handle("document.activeElement")
    with hands.never_reloaded(page):
        yield
    assert page.evaluate(STAYS, focused), "the page took the focus away"


def bell(page: Page) -> int:
    return int(page.locator("#badge").get_attribute("data-label") or 0)


def width(page: Page) -> float:
    box = page.locator("header.side").bounding_box()
    assert box
    return box["width"]


def running(api: Api, job_id: str) -> list[str]:
    """Names of the slow files that are being read."""
    files = api.files(job_id)
    return [name for name in SLOW if files[name]["state"] == "running"]


def until_it_moves(page: Page) -> list[int]:
    """What the bar says before it has risen and after."""
    first = hands.percent(page)
    page.wait_for_function(ROSE, arg=first, timeout=HALF_A_MINUTE)
    return [first, hands.percent(page)]


def kill_the_worker(up: Service) -> None:
    """SIGKILL to the worker of the files with all its slots. `up` starts another."""
    killed = workers(up)
    assert len(killed) > 1, "a worker and its slots"
    for pid in killed:
        with suppress(ProcessLookupError):  # it went with its parent
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: set(workers(up)) - set(killed))
    assert not set(killed) & set(workers(up))
    assert "worker ended (killed by SIGKILL); starting it again" in up.process.output


def workers(up: Service) -> list[int]:
    return [pid for pid in up.process.descendants() if WORKER in command(pid)]


def command(pid: int) -> str:
    """Without the keepers, whose command line holds that of what they keep."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        return "" if "keeper.py" in text else text
    return ""


def assert_holds_all(archive: Path) -> None:
    """The manifest tells of the twenty, and where in the ZIP the text of each is."""
    with zipfile.ZipFile(archive) as bundle:
        assert bundle.testzip() is None
        manifest = json.loads(bundle.read("manifest.json"))
        texts = {each["name"]: bundle.read(each["text"]).decode() for each in manifest["files"]}
    assert manifest["complete"]
    assert set(texts) == set(TWENTY)
    assert all(texts.values())
    assert "bowline" in texts["knots.txt"]


def test_with_the_mouse(windows: Windows, up: Service, stage: Stage, tmp_path: Path) -> None:
    wide, narrow = windows("wendy")
    api = stage.api(people.WORKSHOP)
    Journey("Twenty with the mouse", Mouse(), wide, narrow, up, api).make(tmp_path)


def test_with_the_keyboard(windows: Windows, up: Service, stage: Stage, tmp_path: Path) -> None:
    """Somebody else, for whom the files are new as well."""
    wide, narrow = windows("charlie")
    api = stage.api(people.ELSEWHERE)
    Journey("Twenty with the keyboard", Keys(), wide, narrow, up, api).make(tmp_path)
