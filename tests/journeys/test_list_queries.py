"""Every list, by API, on pages and in the admin: how many statements it takes, with one row of
everything and with thirty. A list that is new here needs a row in the tables."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.generics import ListAPIView
from rest_framework.test import APIClient

from apps.accounts.actor import Actor
from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_api_key, create_user, invite
from apps.audit.services import record
from apps.jobs.services import exporting
from apps.webhooks.models import Endpoint
from apps.webhooks.services import MAX_ENDPOINTS, add_endpoint
from tests.batches import submit
from tests.conftest import ClientFor
from tests.jobs.exporting import asked
from tests.jobs.parts import begun
from tests.jobs.runs import fail_next, read_next
from tests.journeys import routes
from tests.notifications.telling import tell
from tests.operators import superuser
from tests.routes import every_route
from tests.webhooks.messages import tell as tell_hooks

pytestmark = pytest.mark.django_db(transaction=True)

FEW, MANY = 3, 30
"""Three jobs, of which one failed, one was read and one waits: what pages say of such is asked for
in both cases."""

API = {
    "api/invitations": 2,
    "api/members": 2,
    "api/keys": 2,
    "api/batch/uploads": 2,
    "api/batch/jobs": 7,
    "api/batch/jobs/<uuid:job_id>/files": 4,
    "api/batch/exports": 3,
    "api/webhooks": 2,
    "api/webhooks/<uuid:endpoint_id>/deliveries": 3,
    "api/notifications": 2,
    "api/audit": 2,
}
"""Two for who asks and what for; with jobs come how far they are, who paused them, and their places
in line."""
PAGES = {
    "": 16,
    "jobs": 9,
    "exports": 8,
    "jobs/<uuid:job_id>": 9,
    "jobs/<uuid:job_id>/live": 7,
    "notifications": 6,
    "settings/members": 8,
    "settings/keys": 7,
    "settings/organization": 5,
    "settings/sessions": 8,
    "settings/audit": 7,
    "notifications/badge": 4,
    "settings/account": 5,
    "settings/webhooks": 7,
    "settings/webhooks/<uuid:endpoint_id>": 7,
}
"""Four of each are the session, the user, their organizations and the bell."""
ADMIN = {
    "audit.AuditEntry": 4,
    "caching.CacheNow": 2,
    "accounts.Organization": 4,
    "accounts.Membership": 4,
    "accounts.ApiKey": 4,
    "accounts.User": 4,
    "accounts.Invitation": 4,
    "audit.Checkpoint": 4,
    "auth.Group": 4,
    "queue.Board": 12,
    "queue.Lane": 4,
    "queue.PeriodicRun": 4,
    "queue.WorkItem": 4,
    "queue.WorkerNode": 4,
    "ratelimits.LimitsNow": 7,
    "ratelimits.RateLimitRule": 4,
    "webhooks.Endpoint": 4,
    "webhooks.Delivery": 4,
    "notifications.Notification": 4,
    "jobs.FileAttempt": 4,
    "jobs.BatchFile": 4,
    "jobs.BatchJob": 4,
    "health.FlagNow": 2,
}
"""By the name of what is listed."""
FORMS = {"jobs/new", "notifications/preferences"} | {
    f"settings/{name}" for name in ("profile", "organization/new", "organization/delete")
}
ONE_THING = {
    route
    for route in (*routes.PAGE_DETAILS, *routes.PERSONAL_PAGE_DETAILS, *routes.WEBHOOK_PAGES)
    if "<uuid:" in route
}
"""Pages of one thing and questions about it; those that list what it has are in PAGES."""
NOT_LISTS = FORMS | {
    f"settings/{name}" for name in ("webhooks/new", "account/delete", "sessions/end")
}


class Acme:
    """Acme with more and more of everything that lists show."""

    def __init__(self, api: APIClient, actor: Actor) -> None:
        self.api, self.actor = api, actor
        self.made = 0
        self.job = ""

    def add(self, count: int) -> None:
        for number in range(self.made, self.made + count):
            self._add_one(number)
        self.made += count

    def _add_one(self, number: int) -> None:
        organization, user = self.actor.organization, self.actor.user
        job = str(submit(organization, "text").pk)
        self.job = self.job or job
        if number < FEW - 1:
            (read_next if number else fail_next)()
        asked(self.api, job)
        begun(self.api, 10, f"{number}.txt")
        person = create_user(email=f"{number}@example.com", password=None, name=f"Nr {number}")
        add_member(organization=organization, user=person, role=Role.READER)
        create_api_key(organization=organization, user=user, name=f"key {number}")
        invite(actor=self.actor, email=f"guest{number}@example.com", role=Role.READER)
        tell(user, organization, number)
        if number < MAX_ENDPOINTS:
            url = f"https://example.com/{number}"
            add_endpoint(actor=self.actor, url=url, events=["batch_job.failed"])
        tell_hooks(organization, str(number))
        record(organization=organization, actor=user, action="job.submit", reason=f"{number}")

    def address(self, route: str) -> str:
        ids = {"<uuid:job_id>": self.job, "<uuid:endpoint_id>": self._endpoint()}
        for name, value in ids.items():
            route = route.replace(name, value)
        return f"/{route}"

    def _endpoint(self) -> str:
        return str(Endpoint.objects.order_by("created_at", "pk").values_list("pk", flat=True)[0])


def api_lists() -> Iterator[str]:
    for route, pattern in every_route().items():
        view = getattr(pattern.callback, "view_class", None)
        if view is not None and issubclass(view, ListAPIView):
            yield route


def pages() -> Iterator[str]:
    """Those of routes.py that are looked at."""
    tables = (
        routes.PAGES,
        routes.PAGE_DETAILS,
        routes.PERSONAL_PAGES,
        routes.PERSONAL_PAGE_DETAILS,
    )
    for table in (*tables, routes.SETTINGS, routes.WEBHOOK_PAGES):
        yield from (route for route, verbs in table.items() if "GET" in verbs)


def changelists() -> Iterator[tuple[str, str]]:
    """(label, address) of what the admin lists."""
    for model, shown in admin.site._registry.items():
        yield (
            model._meta.label,
            reverse(f"admin:{shown.opts.app_label}_{shown.opts.model_name}_changelist"),
        )


def counted(browser: Any, address: str) -> int:
    """The fewest of three: what is found once and kept, or written once a minute, is not of it."""
    counts = []
    for _ in range(3):
        with CaptureQueriesContext(connection) as seen:
            answer = browser.get(address)
        assert answer.status_code == 200, (address, answer.content[:500])
        counts.append(len(seen))
    return min(counts)


@pytest.fixture
def filled(
    alice_api: APIClient, alice: User, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> Acme:
    monkeypatch.setattr(exporting, "MAX_UNFINISHED", MANY)
    made = Acme(alice_api, Actor(user=alice, organization=acme, role=Role.OWNER))
    made.add(FEW)
    return made


@pytest.mark.once
def test_the_number_of_statements_is_that_of_the_table_however_many_rows(
    filled: Acme, client_for: ClientFor
) -> None:
    browser, operator = client_for(filled.actor.user), superuser()

    def counts() -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        return (
            {route: counted(filled.api, filled.address(route)) for route in API},
            {route: counted(browser, filled.address(route)) for route in PAGES},
            {label: counted(operator, address) for label, address in changelists()},
        )

    few = counts()
    filled.add(MANY - FEW)
    many = counts()
    assert few == (API, PAGES, ADMIN)
    assert many == few


@pytest.mark.once
def test_every_list_has_a_row_in_the_table() -> None:
    assert set(api_lists()) == set(API)
    assert set(pages()) - ONE_THING - NOT_LISTS == PAGES.keys() - ONE_THING
    assert PAGES.keys() <= set(pages())
    assert {label for label, _ in changelists()} == set(ADMIN)
