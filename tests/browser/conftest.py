"""One service and one browser for all tests; each test gets a fresh profile."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser import chromium, people, service
from tests.browser.stage import Stage, build

ContextFor = Callable[..., BrowserContext]
SignedIn = Callable[[str], Any]
"""The cookies of somebody by name, signed in once, in the organization they are there for."""


def pytest_configure(config: pytest.Config) -> None:
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line per request buries the rest
    try:
        chromium.executable()
    except chromium.NoBrowser as missing:
        raise pytest.UsageError(str(missing)) from None


def signing_in(up: service.Service, stage: Stage, browser: Browser) -> SignedIn:
    known: dict[str, Any] = {"": None}

    def state(name: str) -> Any:
        if name not in known:
            with browser.new_context() as context:
                page = context.new_page()
                email, password = stage.person(name)
                chromium.sign_in(page, up.url, email, password)
                if organization := stage.home_of(name):
                    chromium.switch_to(page, organization)
                known[name] = context.storage_state()
        return known[name]

    return state


@pytest.fixture(scope="session")
def up() -> Iterator[service.Service]:
    settings = {
        "EXTRA_PROCESSORS": "tests.browser.staging.StagingProcessor",
        "ENABLE_SIGNUP": "true",
        "EXPORT_DIRECT_BYTES": "120000",  # one job is large
        "RETRY_BASE_SECONDS": "7200",  # what waits for its next try waits until the end
    }
    with service.running(**settings) as running:
        yield running
        running.stop()
        assert "Traceback" not in running.web_log, running.web_log[-4000:]


@pytest.fixture(scope="session")
def stage(up: service.Service) -> Stage:
    return build(up)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium.browser() as started:
        yield started


@pytest.fixture(scope="session")
def signed_in(up: service.Service, stage: Stage, browser: Browser) -> SignedIn:
    return signing_in(up, stage, browser)


@pytest.fixture
def complaints(up: service.Service) -> Iterator[chromium.Complaints]:
    """Of all pages of the test, which fails at its end for those that it has not taken."""
    heard = chromium.Complaints(up.url)
    yield heard
    left = heard.take()
    assert not left, "\n".join(left)


@pytest.fixture
def context_for(
    up: service.Service,
    browser: Browser,
    signed_in: SignedIn,
    complaints: chromium.Complaints,
) -> Iterator[ContextFor]:
    """Makes a profile in which somebody is signed in, or nobody."""
    opened: list[BrowserContext] = []

    def make(name: str = "", **options: Any) -> BrowserContext:
        chosen = {"viewport": chromium.DESKTOP, "reduced_motion": "reduce"} | options
        context = browser.new_context(base_url=up.url, storage_state=signed_in(name), **chosen)
        context.set_default_timeout(15_000)
        complaints.watch(context)
        opened.append(context)
        return context

    yield make
    for context in opened:
        context.close()


@pytest.fixture
def wendy(context_for: ContextFor) -> Page:
    """A page of Wendy's, who owns the workshop."""
    return context_for("wendy").new_page()


@pytest.fixture
def workshop(up: service.Service, stage: Stage) -> service.Api:
    return stage.api(people.WORKSHOP)
