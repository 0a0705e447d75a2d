"""What a person does on a page with a mouse or a keyboard, and how they can tell."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page

from tests.browser.chromium import Complaints
from tests.browser.service import SAMPLES

TEN = (
    "knots.txt",
    "notice.html",
    "recipe.docx",
    "order.eml",
    "harbour-log.pdf",
    "hausordnung.pdf",
    "invoice-scan.pdf",
    "tides-cp1252.csv",
    "locked.pdf",
    "damaged.pdf",
)
UNREADABLE = ("locked.pdf", "damaged.pdf")
MOST_TABS = 120
NO_CONNECTION = re.compile("net::ERR_INTERNET_DISCONNECTED|htmx:(sendError|afterRequest)")

# Something must show where the focus is: an outline of the element, or of the label that stands
# for a file field that is not drawn itself.
SHOWS_FOCUS = """
() => {
  const focused = document.activeElement;
  if (!focused || focused === document.body) return "nothing has the focus";
  const shown = [focused, focused.previousElementSibling].filter(Boolean).some((each) => {
    const style = getComputedStyle(each);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  });
  const place = focused.getBoundingClientRect();
  const isSeen = place.bottom > 0 && place.top < innerHeight;
  return shown && isSeen ? "" : `no outline to be seen on ${focused.outerHTML.slice(0, 120)}`;
}
"""


def drop(page: Page, target: Locator, paths: Sequence[Path]) -> None:
    """Files or folders dragged from outside the browser and let go over `target`."""
    box = target.bounding_box()
    assert box
    session = page.context.new_cdp_session(page)
    files = [str(path) for path in paths]
    for kind in ("dragEnter", "dragOver", "drop"):
        event = {
            "type": kind,
            "x": box["x"] + box["width"] / 2,
            "y": box["y"] + 20,
            "data": {"items": [], "files": files, "dragOperationsMask": 1},
        }
        session.send("Input.dispatchDragEvent", event)
    session.detach()


def sample_paths(names: Sequence[str] = TEN) -> list[Path]:
    return [SAMPLES / name for name in names]


def tab_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Presses `key` until `target` has the focus, which must be seen at every step."""
    for _ in range(MOST_TABS):
        page.keyboard.press(key)
        trouble = page.evaluate(SHOWS_FOCUS)
        # Between the last element and the first, the browser's own window has it.
        assert not trouble or trouble == "nothing has the focus", trouble
        if has_focus(target):
            return
    raise AssertionError(f"not reached by {key}: {target}")


def has_focus(target: Locator) -> bool:
    return bool(target.evaluate("each => each === document.activeElement"))


def job_id_of(page: Page) -> str:
    """The id in the address of a job's page, once that is open."""
    page.wait_for_url(re.compile("/jobs/[0-9a-f]{8}-"))
    return page.url.partition("?")[0].rpartition("/")[2]


def percent(page: Page) -> int:
    """What the job's bar says."""
    return int(page.locator("#overview .bar").get_attribute("aria-valuenow") or -1)


def watch_the_bar(page: Page, *, seconds: float = 90) -> list[int]:
    """Everything the bar of the job's page says until the end is announced, without repetition."""
    seen = [percent(page)]
    for _ in range(int(seconds * 5)):
        is_over = "Job finished" in page.locator("#news").inner_text()
        if (now := percent(page)) != seen[-1]:
            seen.append(now)
        if is_over:
            return seen
        page.wait_for_timeout(200)
    raise AssertionError(f"not finished within {seconds:g} s: {seen}")


def assert_rises(seen: list[int]) -> None:
    """To the end without a step back. Files that are read between two looks of the page leave
    nothing to see in the middle: tests/browser/test_live.py asks for that of slow ones."""
    assert seen == sorted(seen), f"the bar went back: {seen}"
    assert seen[-1] == 100


@contextmanager
def never_reloaded(page: Page) -> Iterator[None]:
    """Fails when the document is another at the end of the block."""
    page.evaluate("window.isStillHere = true")
    yield
    assert page.evaluate("window.isStillHere"), "the page was loaded anew"


@contextmanager
def offline(page: Page, complaints: Complaints) -> Iterator[None]:
    """No connection within the block; that the browser says so is no complaint."""
    page.context.set_offline(True)
    yield
    page.context.set_offline(False)
    complaints.expect(NO_CONNECTION)
