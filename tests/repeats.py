"""Every request of a test is watched for statements that are repeated for each row (N+1): they
raise NPlusOneError in the view, which is a 500 or goes up to the test."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import override_settings
from zeal.constants import initialize_app_registry
from zeal.patch import patch

WATCH = "zeal.middleware.zeal_middleware"
ONE_BY_ONE = [
    # Django reads it again after it gave it another key.
    {"model": "sessions.Session", "field": "get()"},
    # Who is signed in, and whom an operator has open in the admin.
    {"model": "accounts.User", "field": "get()"},
    # What is done to several jobs at once is done to each by itself, and each has its entry in the
    # audit log, which takes the end of the chain.
    {"model": "audit.Chain", "field": "get()"},
    {"model": "jobs.BatchJob", "field": "get()"},
    {"model": "queue.FairShare", "field": "get()"},
]
"""What may be read again and again in one request."""


@pytest.fixture(scope="session", autouse=True)
def _repeats_are_refused() -> Iterator[None]:
    initialize_app_registry()
    patch()
    with override_settings(
        MIDDLEWARE=[WATCH, *settings.MIDDLEWARE], ZEAL_ALLOWLIST=ONE_BY_ONE, ZEAL_RAISE=True
    ):
        yield
