"""Every page and state there is, as one table."""

from playwright.sync_api import FilePayload, Page

from tests.browser.admin_pages import ADMIN_PAGES
from tests.browser.bulk_pages import BULK
from tests.browser.operating_pages import OPERATING
from tests.browser.people import PASSWORD
from tests.browser.settings_pages import SETTINGS
from tests.browser.shown import NOBODY, Shown, click

GOOD = ("knots.txt", "survey.png", "harbour-log.pdf")
NOWHERE = "00000000-0000-7000-8000-000000000000"


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
    Shown("job with exports", "/jobs/{exported}"),
    Shown("job with exports of a reader", "/jobs/{exported}", "rita"),
    Shown("job, all formats", "/jobs/{exported}", prepare=click("#downloads > summary")),
    Shown("job running, all formats", "/jobs/{running}", prepare=click("#downloads > summary")),
    Shown("job large, all formats", "/jobs/{large}", prepare=click("#downloads > summary")),
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
NOTIFICATIONS = (
    Shown("notifications", "/notifications"),
    Shown("notifications empty", "/notifications", "nora"),
    Shown("notifications, second page", "/notifications", prepare=next_page),
    Shown("notifications unread, quarantine", "/notifications?show=unread&kind=file_quarantined"),
    Shown("notifications without a match", "/notifications?kind=message"),
    Shown("unsubscribe", "/unsubscribe/{unsubscribe}", NOBODY),
    Shown("unsubscribed", "/unsubscribe/{unsubscribe}", NOBODY, prepare=click("form button")),
    Shown("unsubscribe, bad link", "/unsubscribe/x", NOBODY, status=404),
    Shown("what to be told", "/notifications/preferences"),
    Shown("notifications, sidebar collapsed", "/notifications", prepare=collapse),
)
NEW = (
    Shown("new job", "/jobs/new"),
    Shown("new job, more options", "/jobs/new", prepare=click("#more > summary")),
    Shown("new job with files", "/jobs/new", prepare=choose_files),
    Shown("new job without files", "/jobs/new", prepare=send_nothing),
    Shown("new job with too many", "/jobs/new", prepare=choose_too_many),
    Shown("new job all refused", "/jobs/new", prepare=choose_unreadable, refused=422),
)
WEBHOOK = "table.webhooks tbody a"


def show_a_message(page: Page) -> None:
    """The last one that failed, with what was answered."""
    page.locator(WEBHOOK).last.click()
    page.get_by_role("row").filter(has_text="500").first.get_by_role("link").click()
    page.locator("details.more > summary").first.click()


def refuse_an_address(page: Page) -> None:
    page.get_by_label("Address").fill("http://10.0.0.1/hook")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("alert").wait_for()


WEBHOOKS = (
    Shown("webhooks", "/settings/webhooks"),
    Shown("webhooks empty", "/settings/webhooks", "nora"),
    Shown("webhooks of a reader", "/settings/webhooks", "rita", status=403),
    Shown("new webhook", "/settings/webhooks/new"),
    Shown("new webhook refused", "/settings/webhooks/new", prepare=refuse_an_address, refused=400),
    Shown("webhook", "/settings/webhooks", prepare=lambda page: page.locator(WEBHOOK).last.click()),
    Shown("webhook failing", "/settings/webhooks", prepare=click(WEBHOOK)),
    Shown("webhook message", "/settings/webhooks", prepare=show_a_message),
    Shown("api webhooks", "/api/webhooks"),
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
    Shown("api notifications", "/api/notifications"),
    Shown("api organization", "/api/organization"),
    Shown("api members", "/api/members"),
    Shown("api member", "/api/members/{member}"),
    Shown("api invitations", "/api/invitations"),
    Shown("api keys", "/api/keys"),
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
PAGES = (
    *(*SESSIONS, *DASHBOARD, *JOBS, *BULK, *JOB, *JOB_MORE, *FILE, *FILE_MORE, *CONFIRM),
    *(*NOTIFICATIONS, *NEW, *WEBHOOKS, *REFUSED, *SETTINGS, *API),
    *(*DOCS, *ADMIN_PAGES, *OPERATING),
)
