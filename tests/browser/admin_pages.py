"""The pages of operators, as one table."""

from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.shown import Shown, click


def pause_without_a_reason(page: Page) -> None:
    page.evaluate("document.querySelector('form[method=post] [required]').required = false")
    page.get_by_role("button", name="Pause").click()
    page.locator(".errornote").wait_for()


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


MODELS = (
    "accounts/user",
    "accounts/organization",
    "accounts/membership",
    "accounts/apikey",
    "jobs/batchjob",
    "jobs/batchfile",
    "jobs/fileattempt",
    "webhooks/endpoint",
    "webhooks/delivery",
    "queue/lane",
    "queue/workernode",
    "queue/workitem",
    "queue/periodicrun",
    "audit/auditentry",
    "notifications/notification",
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
CACHE = (
    Shown("cache", "/admin/caching/cachenow/"),
    Shown("cache, last day", "/admin/caching/cachenow/?span=day"),
    Shown("cache, invalidate", "/admin/caching/cachenow/invalidate/?by=kind&name=text"),
)
ADMIN_PAGES = (*ADMIN, *LIMITS, *CACHE)
