"""What people see where an operator has switched everything off that can be."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium, service
from tests.browser.chromium import Complaints
from tests.browser.conftest import ContextFor, SignedIn
from tests.browser.service import Service
from tests.browser.shown import NOBODY, Shown
from tests.browser.stage import Stage
from tests.browser.test_pages import look_at

OFF = ("BATCH", "CACHING", "METRICS", "NOTIFICATIONS", "RATE_LIMITING", "SIGNUP", "WEBHOOKS")
PAGES = (
    Shown("off, dashboard", "/"),
    Shown("off, jobs", "/jobs"),
    Shown("off, new job", "/jobs/new"),
    Shown("off, job that waits", "/jobs/{waits}"),
    Shown("off, job cancelled", "/jobs/{cancelled}"),
    Shown("off, notifications", "/notifications", status=503),
    Shown("off, what to be told", "/notifications/preferences", status=503),
    Shown("off, settings", "/settings/profile"),
    Shown("off, webhooks", "/settings/webhooks", status=503),
    Shown("off, sign-up", "/sign-up", NOBODY, status=404),
    Shown("off, admin flags", "/admin/health/flagnow/"),
)


@pytest.fixture(scope="module")
def up() -> Iterator[Service]:
    with service.running(**{f"ENABLE_{name}": "false" for name in OFF}) as running:
        yield running
        running.stop()
        assert "Traceback" not in running.web_log, running.web_log[-4000:]


@pytest.fixture(scope="module")
def stage(up: Service) -> Stage:
    made = up.call("from tests.browser import switched_off; switched_off.make()")
    return Stage(up, {}, json.loads(made))


@pytest.fixture(scope="module")
def signed_in(up: Service, browser: Browser) -> SignedIn:
    """The administrator, in the organization that came with the account, or nobody."""
    with browser.new_context() as context:
        chromium.sign_in(context.new_page(), up.url, *up.admin)
        known = {NOBODY: None, "admin": context.storage_state()}
    return known.__getitem__


def test_pages(stage: Stage, context_for: ContextFor, complaints: Complaints) -> None:
    found = []
    for shown in PAGES:
        page = context_for(shown.person).new_page()
        found += [f"{shown.name}: {line}" for line in look_at(page, shown, stage, complaints)]
        assert not page.locator("[data-badge-url]").count()
        page.close()
    assert not found, "\n".join(found)
