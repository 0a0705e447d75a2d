"""Every page and state there is, as one table."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page

NOBODY = ""
NOWHERE = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Shown:
    """A page in a state. `path` may name ids of the stage: `/jobs/{running}`.

    `person` is who looks, `prepare` what they do there first, `unchecked` are selectors that the
    check of accessibility leaves out.
    """

    name: str
    path: str
    person: str = "admin"
    status: int = 200
    prepare: Callable[[Page], object] | None = None
    unchecked: tuple[str, ...] = ()


def wrong_password(page: Page) -> None:
    page.get_by_label("E-mail address").fill("nora@example.com")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").wait_for()


def signed_out(page: Page) -> None:
    page.locator("details.account > summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("You are signed out.").wait_for()


def open_organizations(page: Page) -> None:
    page.locator("details.organization > summary").click()


def open_account(page: Page) -> None:
    page.locator("details.account > summary").click()


def collapse(page: Page) -> None:
    page.locator("[data-sidebar-toggle]").click()


SESSIONS = (
    Shown("sign-in", "/sign-in", NOBODY),
    Shown("wrong password", "/sign-in", NOBODY, prepare=wrong_password),
    Shown("menu of organizations", "/", prepare=open_organizations),
    Shown("menu of the account", "/", prepare=open_account),
    Shown("sidebar collapsed", "/", prepare=collapse),
)
DASHBOARD = (
    Shown("dashboard empty", "/", "nora"),
    Shown("dashboard busy", "/"),
    Shown("dashboard of a reader", "/", "rita"),
)
JOBS = (
    Shown("jobs empty", "/jobs", "nora"),
    Shown("jobs", "/jobs"),
    Shown("jobs of a reader", "/jobs", "rita"),
    Shown("jobs filtered", "/jobs?state=failed"),
    Shown("jobs without a match", "/jobs?search=nothing+has+this+name"),
)
JOB = tuple(
    Shown(f"job {state}", f"/jobs/{{{state}}}")
    for state in (
        "queued",
        "running",
        "waiting",
        "partial",
        "failed",
        "quarantined",
        "cancelled",
        "succeeded",
        "long",
    )
)
FILE = tuple(
    Shown(f"file {state}", f"/files/{{file-{state}}}")
    for state in (
        "succeeded",
        "pages",
        "scan",
        "failed",
        "quarantined",
        "rejected",
        "cancelled",
        "waiting",
        "running",
        "retry-wait",
    )
)
CONFIRM = (
    Shown("cancel a job", "/jobs/{running}/cancel"),
    Shown("retry a job", "/jobs/{partial}/retry"),
    Shown("delete a job", "/jobs/{partial}/delete"),
)
NEW = (Shown("new job", "/jobs/new"),)
REFUSED = (
    Shown("no such page", "/nothing/here", status=404),
    Shown("no such page, signed out", "/nothing/here", NOBODY, status=404),
    Shown("no such job", f"/jobs/{NOWHERE}", status=404),
    Shown("a job of others", "/jobs/{foreign}", status=404),
    Shown("new job for a reader", "/jobs/new", "rita", status=403),
)
API = (
    Shown("api", "/api"),
    Shown("api signed out", "/api", NOBODY),
    Shown("api jobs", "/api/batch/jobs"),
    Shown("api job", "/api/batch/jobs/{partial}"),
    Shown("api files", "/api/batch/jobs/{partial}/files"),
    Shown("api file", "/api/batch/files/{file-succeeded}"),
    Shown("api upload", "/api/batch/upload", status=405),
    Shown("api bad filter", "/api/batch/jobs?state=nonsense", status=400),
    Shown("api no such job", f"/api/batch/jobs/{NOWHERE}", status=404),
)
PAGES = (*SESSIONS, *DASHBOARD, *JOBS, *JOB, *FILE, *CONFIRM, *NEW, *REFUSED, *API)
