"""What people see of operating the service: the audit log, where they are signed in, what an error
code means, and what is written down for operators."""

from collections.abc import Callable
from urllib.parse import urlsplit

from playwright.sync_api import Page

from tests.browser import chromium, people
from tests.browser.shown import NOBODY, Shown, click

PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)
FIRST = "#result_list tbody th a"

AUDIT = "/settings/audit"
SESSIONS = "/settings/sessions"
ADMIN_AUDIT = "/admin/audit/auditentry/"


def older(page: Page) -> None:
    page.get_by_role("link", name="Older").click()
    page.get_by_role("link", name="Newest").wait_for()


def unfold(page: Page) -> None:
    page.locator("details.more > summary").first.click()


def elsewhere_too(then: str = "") -> Callable[[Page], None]:
    """Rita signs in on a phone as well; then clicks on the link that begins with `then`."""

    def sign_in(page: Page) -> None:
        browser = page.context.browser
        assert browser is not None
        site = urlsplit(page.url)
        with browser.new_context(user_agent=PHONE) as phone:
            address = f"{site.scheme}://{site.netloc}"
            chromium.sign_in(phone.new_page(), address, "rita@example.com", people.PASSWORD)
        page.reload()
        if then:
            page.get_by_role("link", name=then).first.click()
            page.locator(".confirm").wait_for()

    return sign_in


AUDIT_LOG = (
    Shown("audit log", AUDIT),
    Shown("audit log, details", f"{AUDIT}?action=member.invite", prepare=unfold),
    Shown("audit log, older", AUDIT, prepare=older),
    Shown("audit log of a reader", AUDIT, "rita"),
    Shown("audit log, nothing yet", AUDIT, "nora"),
    Shown("audit log, no match", f"{AUDIT}?action=nothing.like_it"),
    Shown(
        "audit log, mistakes",
        f"{AUDIT}?actor=admin%40example.com&since=2026-02-01&until=2026-01-01",
    ),
)
SIGNED_IN = (
    Shown("signed in", SESSIONS, "carla"),
    Shown("signed in, several", SESSIONS, "rita", prepare=elsewhere_too()),
    Shown("sign out a phone", SESSIONS, "rita", prepare=elsewhere_too("Sign out Safari")),
    Shown("sign out here", SESSIONS, "carla", prepare=click(".card td a")),
    Shown("sign out all others", SESSIONS, "rita", prepare=elsewhere_too("Sign out everywhere")),
)
ERROR_CODES = (
    Shown("error codes", "/errors", NOBODY),
    Shown("error code", "/errors/batch.too_many_files", NOBODY),
    Shown("error code of a file", "/errors/document.encrypted", NOBODY),
    Shown("no such error code", "/errors/nothing.like_it", NOBODY, status=404),
)
OPERATORS = (
    Shown("admin flags", "/admin/health/flagnow/"),
    Shown("admin audit, one log", f"{ADMIN_AUDIT}?log=Harbour+Office&action=job.submit"),
    Shown("admin audit, no such log", f"{ADMIN_AUDIT}?log=nobody&day=never"),
    Shown("admin checkpoints", "/admin/audit/checkpoint/"),
    Shown("admin checkpoint", "/admin/audit/checkpoint/", prepare=click(FIRST)),
    Shown("admin invitations", "/admin/accounts/invitation/"),
    Shown("admin invitation", "/admin/accounts/invitation/", prepare=click(FIRST)),
)
OPERATING = (*AUDIT_LOG, *SIGNED_IN, *ERROR_CODES, *OPERATORS)
