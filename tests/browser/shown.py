"""A page in a state."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page

NOBODY = ""


@dataclass(frozen=True)
class Shown:
    """A page in a state. `path` may name ids of the stage: `/jobs/{running}`.

    `person` is who looks, `prepare` what they do there first, `unchecked` are selectors that the
    check of accessibility leaves out, `refused` is the status that the server answers meanwhile.
    """

    name: str
    path: str
    person: str = "admin"
    status: int = 200
    prepare: Callable[[Page], object] | None = None
    unchecked: tuple[str, ...] = ()
    refused: int = 0


def click(selector: str) -> Callable[[Page], None]:
    return lambda page: page.locator(selector).first.click()
