"""What holds for every page in every state, in light, dark and on a phone: no complaint of the
browser, nothing that keeps people with a disability out, nothing that scrolls sideways, no word
that is cut off and nowhere whole."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.chromium import AXE, DESKTOP, Complaints
from tests.browser.conftest import ContextFor
from tests.browser.pages import PAGES, Shown
from tests.browser.stage import Stage

PHONE = {"width": 390, "height": 844}
GRAVE = ("serious", "critical")
LOOKS = {
    "light": ("light", DESKTOP),
    "dark": ("dark", DESKTOP),
    "phone": ("light", PHONE),
    "phone dark": ("dark", PHONE),
}
JUDGED = ("light", "phone dark")
"""The looks that axe is shown, which takes it long: each colour and each layout once."""
# With `preload` axe would copy style sheets into the page, which the content policy forbids.
RUN_AXE = """
(excluded) => axe.run(
  {exclude: excluded.map((each) => [each])}, {resultTypes: ["violations"], preload: false})
"""
# What is cut off by design: why a job failed, which its page says whole, and what can be copied.
CUT_OFF = """
(isWide) => {
  const shown = (each) => each.checkVisibility({ opacityProperty: true });
  const named = (each) => `${each.tagName} ${each.innerText.trim().slice(0, 60)}`;
  const cut = [...document.querySelectorAll("main *, .side *")].filter((each) => {
    const style = getComputedStyle(each);
    const line = style.textOverflow === "ellipsis" && each.scrollWidth > each.clientWidth + 1;
    const lines = style.webkitLineClamp !== "none" && each.scrollHeight > each.clientHeight + 2;
    return (line || lines) && shown(each) && !each.closest("[title], .why, .copied");
  });
  const tables = isWide ? [...document.querySelectorAll(".table-wrap")] : [];
  return [
    ...cut.map((each) => `cut off, and no title says it whole: ${named(each)}`),
    ...tables.filter((each) => shown(each) && each.scrollWidth > each.clientWidth + 1)
      .map((each) => `a table of ${each.scrollWidth} px in ${each.clientWidth}`),
  ];
}
"""
# Colours that are still on their way from one look to the next belong to neither.
SETTLE = """
() => document.getAnimations()
  .filter((each) => each.effect.getComputedTiming().iterations !== Infinity)
  .forEach((each) => each.finish())
"""


@pytest.mark.parametrize("shown", PAGES, ids=lambda shown: shown.name)
def test_page(shown: Shown, stage: Stage, context_for: ContextFor, complaints: Complaints) -> None:
    found = look_at(context_for(shown.person).new_page(), shown, stage, complaints)
    assert not found, "\n".join(found)


def look_at(page: Page, shown: Shown, stage: Stage, complaints: Complaints) -> list[str]:
    """Opens it in every look; what is wrong with it."""
    answer = page.goto(shown.path.format_map(stage.ids))
    assert answer is not None
    assert answer.status == shown.status
    if shown.prepare:
        shown.prepare(page)
    page.evaluate(AXE.read_text())
    found = []
    for look, (scheme, size) in LOOKS.items():
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size)
        page.evaluate(SETTLE)
        found += [f"{look}: {line}" for line in sideways(page)]
        found += [f"{look}: {line}" for line in page.evaluate(CUT_OFF, size is DESKTOP)]
        if look in JUDGED:
            found += [f"{look}: {line}" for line in keeps_out(page, shown)]
        keep_picture(page, f"{shown.name} {look}")
    return found + without_the_status(complaints.take(), shown)


def without_the_status(lines: list[str], shown: Shown) -> list[str]:
    """Chromium complains about the status of every answer that is an error."""
    expected = re.compile(rf"error: .*status of ({shown.status}|{shown.refused}) ")
    return [line for line in lines if not expected.match(line)]


def sideways(page: Page) -> list[str]:
    """How far the page can be scrolled to the side, if at all."""
    width, inner = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    return [f"{width} px wide in a window of {inner}"] if width > inner else []


def keeps_out(page: Page, shown: Shown) -> list[str]:
    """What axe finds; nothing when all of it is minor or moderate."""
    violations = page.evaluate(RUN_AXE, list(shown.unchecked))["violations"]
    if not any(violation["impact"] in GRAVE for violation in violations):
        return []
    return [in_words(violation) for violation in violations]


def in_words(violation: dict[str, Any]) -> str:
    where = ", ".join(str(node["target"]) for node in violation["nodes"][:5])
    return f"axe {violation['impact']} {violation['id']}: {violation['help']}: {where}"


def keep_picture(page: Page, name: str) -> None:
    """Into the folder that SHOTS names, if any."""
    if folder := os.environ.get("SHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        file = re.sub(r"[^a-z0-9]+", "-", name.lower())
        page.screenshot(path=f"{folder}/{file}.png", full_page=True)
