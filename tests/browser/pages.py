"""Every page and state there is, as one table."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import FilePayload, Page

from tests.browser.people import PASSWORD

NOBODY = ""
GOOD = ("knots.txt", "survey.png", "harbour-log.pdf")
NOWHERE = "00000000-0000-7000-8000-000000000000"


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


def made_up(name: str, text: str) -> FilePayload:
    return {"name": name, "mimeType": "", "buffer": text.encode()}


FILM = made_up("film.mkv", "x")


def wrong_password(page: Page) -> None:
    page.get_by_label("E-mail address").fill("nora@example.com")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").wait_for()


def signed_out(page: Page) -> None:
    page.get_by_label("E-mail address").fill("nora@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.locator("details.account > summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("You are signed out.").wait_for()


def forgot_password(page: Page) -> None:
    """By keyboard alone."""
    page.keyboard.type("nobody@example.com")  # the field has the focus
    page.keyboard.press("Enter")
    page.get_by_text("a mail with a link is on its way").wait_for()


def too_short(page: Page) -> None:
    page.keyboard.type("short")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()


def open_organizations(page: Page) -> None:
    page.locator("details.organization > summary").click()


def open_account(page: Page) -> None:
    page.locator("details.account > summary").click()


def collapse(page: Page) -> None:
    page.locator("[data-sidebar-toggle]").click()


def choose_files(page: Page) -> None:
    """Some that can be sent, and one that cannot."""
    page.locator("#files").set_input_files([*(made_up(each, "x") for each in GOOD), FILM])
    page.locator("#rows > li").nth(len(GOOD)).wait_for()


def choose_unreadable(page: Page) -> None:
    page.locator("#files").set_input_files([made_up("renamed.pdf", "PK\x03\x04")])
    page.get_by_role("button", name="Send 1 file").click()
    page.get_by_text("None of these files can be read.").wait_for()


def choose_too_many(page: Page) -> None:
    page.locator("#files").set_input_files([made_up(f"{n:02}.txt", "x") for n in range(1, 52)])
    page.get_by_text("1 is too many").wait_for()


def send_nothing(page: Page) -> None:
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Choose at least one file.").wait_for()


def click(selector: str) -> Callable[[Page], None]:
    return lambda page: page.locator(selector).first.click()


def next_page(page: Page) -> None:
    page.locator("#older").click()
    page.locator("#newer").wait_for()


def open_operations(page: Page) -> None:
    """Every operation of the documentation, two of them unfolded."""
    operations = page.locator(".opblock-summary-control")
    operations.first.wait_for()
    for place in (0, 1):
        operations.nth(place).click()
    page.locator(".opblock-body").nth(1).wait_for()


def choose_action(name: str) -> Callable[[Page], None]:
    """The question before an action of the admin on the first row."""

    def choose(page: Page) -> None:
        page.locator("input.action-select").first.check()
        page.locator("select[name=action]").select_option(name)
        page.get_by_role("button", name="Run").or_(page.get_by_role("button", name="Go")).click()
        page.locator(".confirm-action").wait_for()

    return choose


def add_a_rule(effect: str) -> Callable[[Page], object]:
    """Of every limiter: what blocks is asked for again, and a number is a mistake."""

    def prepare(page: Page) -> None:
        page.get_by_label("What it lays down").select_option(effect)
        page.get_by_label("Blocked until").fill("2099-01-01T12:00")
        page.get_by_label("Reason").fill("A test.")
        page.get_by_role("button", name="Add rule").click()

    return prepare


def pause_without_a_reason(page: Page) -> None:
    page.evaluate("document.querySelector('form[method=post] [required]').required = false")
    page.get_by_role("button", name="Pause").click()
    page.locator(".errornote").wait_for()


SESSIONS = (
    Shown("sign-in", "/sign-in", NOBODY),
    Shown("wrong password", "/sign-in", NOBODY, prepare=wrong_password),
    Shown("signed out", "/sign-in", NOBODY, prepare=signed_out),
    Shown("forgotten password", "/password", NOBODY),
    Shown("mail on its way", "/password", NOBODY, prepare=forgot_password),
    Shown("new password", "/password/{reset}", NOBODY),
    Shown("new password too short", "/password/{reset}", NOBODY, prepare=too_short),
    Shown("sign-up", "/sign-up", NOBODY),
    Shown("new account", "/sign-up/{invitation}", NOBODY),
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
    Shown("jobs without a match", "/jobs?q=nothing+has+this+name"),
    Shown("jobs, second page", "/jobs", prepare=next_page),
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
        "duplicates",
        "paused",
        "held",
        "long",
    )
)
JOB_MORE = (
    Shown("job of a reader, paused", "/jobs/{paused}", "rita"),
    Shown("job paused, more", "/jobs/{paused}", prepare=click("#more-actions > summary")),
    Shown("job failed, more", "/jobs/{failed}", prepare=click("#more-actions > summary")),
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
        "duplicate",
        "held",
        "follower",
    )
)
FILE_MORE = (
    Shown(
        "file quarantined, traceback",
        "/files/{file-quarantined}",
        prepare=click(".traceback > summary"),
    ),
)
CONFIRM = (
    Shown("cancel a job", "/jobs/{running}/cancel"),
    Shown("delete a job", "/jobs/{partial}/delete"),
    Shown("pause a job", "/jobs/{running}/pause"),
    Shown("pause a file", "/files/{file-held}/pause"),
    Shown("requeue a job", "/jobs/{succeeded}/requeue"),
    Shown("cancel a job, dialog", "/jobs/{running}", prepare=click("#cancel")),
    Shown("delete a job, dialog", "/jobs/{partial}", prepare=click("#delete")),
    Shown("pause a job, dialog", "/jobs/{running}", prepare=click("#pause")),
)
NEW = (
    Shown("new job", "/jobs/new"),
    Shown("new job, more options", "/jobs/new", prepare=click("#more > summary")),
    Shown("new job with files", "/jobs/new", prepare=choose_files),
    Shown("new job without files", "/jobs/new", prepare=send_nothing),
    Shown("new job with too many", "/jobs/new", prepare=choose_too_many),
    Shown("new job all refused", "/jobs/new", prepare=choose_unreadable, refused=422),
)
REFUSED = (
    Shown("no such page", "/nothing/here", status=404),
    Shown("no such page, signed out", "/nothing/here", NOBODY, status=404),
    Shown("no such job", f"/jobs/{NOWHERE}", status=404),
    Shown("a job of others", "/jobs/{foreign}", status=404),
    Shown("new job for a reader", "/jobs/new", "rita", status=403),
    Shown("too many requests", "/jobs", "ursula", status=429),
)
API = (
    Shown("api", "/api"),
    Shown("api signed out", "/api", NOBODY),
    Shown("api jobs, signed out", "/api/batch/jobs", NOBODY, status=401),
    Shown("api jobs", "/api/batch/jobs"),
    Shown("api job", "/api/batch/jobs/{partial}"),
    Shown("api files", "/api/batch/jobs/{partial}/files"),
    Shown("api job, paused", "/api/batch/jobs/{paused}"),
    Shown("api file", "/api/batch/files/{file-succeeded}"),
    Shown("api pause", "/api/batch/pause"),
    Shown("api pause a job", "/api/batch/jobs/{running}/pause", status=405),
    Shown("api upload", "/api/batch/upload", status=405),
    Shown("api bad filter", "/api/batch/jobs?state=nonsense", status=400),
    Shown("api no such job", f"/api/batch/jobs/{NOWHERE}", status=404),
)
DOCS = (
    Shown("api documentation", "/api/docs", unchecked=("#swagger-ui",)),
    Shown(
        "api operations",
        "/api/docs",
        prepare=open_operations,
        unchecked=("#swagger-ui",),  # Swagger UI's own markup; what is around it is ours
    ),
)
MODELS = (
    "accounts/user",
    "accounts/organization",
    "accounts/membership",
    "accounts/apikey",
    "jobs/batchjob",
    "jobs/batchfile",
    "jobs/fileattempt",
    "queue/lane",
    "queue/workernode",
    "auth/group",
)
BOARD = "/admin/queue/board/"
ADMIN = (
    Shown("admin", "/admin/"),
    Shown("board", BOARD),
    Shown("board, a table", BOARD, prepare=click(".charts summary")),
    Shown("board, pause", f"{BOARD}pause/?lane=ocr"),
    Shown("board, pause without a reason", f"{BOARD}pause/", prepare=pause_without_a_reason),
    Shown("board, resume", BOARD, prepare=click("a[href*=resume]")),
    Shown("board, limits", BOARD, prepare=click("a[aria-label^='Limit of email']")),
    *(Shown(f"admin {model}", f"/admin/{model}/") for model in MODELS),
    *(
        Shown(f"admin {model} one", f"/admin/{model}/", prepare=click("#result_list tbody th a"))
        for model in MODELS[:-1]
    ),
    Shown("admin search", "/admin/jobs/batchfile/?q=locked"),
    Shown("admin search, no match", "/admin/jobs/batchfile/?q=nothing-has-this-name"),
    Shown("admin retry", "/admin/jobs/batchjob/?q=Autumn", prepare=choose_action("retry")),
    Shown("admin delete", "/admin/jobs/batchjob/?q=Autumn", prepare=choose_action("delete")),
    Shown("admin add user", "/admin/accounts/user/add/"),
    Shown("admin add user, mistakes", "/admin/accounts/user/add/", prepare=click("[name=_save]")),
    Shown("admin add organization", "/admin/accounts/organization/add/"),
    Shown("admin password", "/admin/password_change/"),
)
COUNTS = "/admin/ratelimits/limitsnow/"
RULES = "/admin/ratelimits/ratelimitrule/"
LIMITS = (
    Shown("limits", COUNTS),
    Shown("limits of a person", f"{COUNTS}?who=nora@example.com"),
    Shown("limits of an address", f"{COUNTS}?who=203.0.113.9"),
    Shown("limits of nobody", f"{COUNTS}?who=somebody"),
    Shown("limits over a month", f"{COUNTS}?span=month", prepare=click(".charts summary")),
    Shown("limits, reset", f"{COUNTS}reset/?who=nora@example.com&limiter=chat"),
    Shown("rules", RULES),
    Shown("rule", RULES, prepare=click("#result_list tbody th a")),
    Shown("rule, remove", RULES, prepare=choose_action("remove")),
    Shown("add rule", f"{RULES}add/?who=nora@example.com"),
    Shown("add rule, mistakes", f"{RULES}add/?who=nobody", prepare=add_a_rule("number")),
    Shown("add rule, block", f"{RULES}add/?who=127.0.0.0/8", prepare=add_a_rule("blocked")),
)
PAGES = (
    *(*SESSIONS, *DASHBOARD, *JOBS, *JOB, *JOB_MORE, *FILE, *FILE_MORE, *CONFIRM),
    *(*NEW, *REFUSED, *API, *DOCS, *ADMIN, *LIMITS),
)
