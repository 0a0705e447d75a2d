"""The admin, walked by who has no permission there, and by who may only look."""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group

from apps.accounts.models import Organization, User
from apps.accounts.viewers import make_viewer
from apps.audit.checkpoints import make_checkpoints
from apps.queue.models import Lane, PeriodicRun, WorkerNode, WorkItem
from apps.ratelimits.rules import add_rule
from apps.webhooks.outbox import publish
from apps.webhooks.services import add_endpoint
from tests.batches import owner_of
from tests.conftest import ClientFor
from tests.journeys.routes import ADMIN_WITHOUT_DATA
from tests.journeys.walking import check_nothing_foreign, everything, job
from tests.routes import every_route

__all__ = ["job"]

pytestmark = pytest.mark.once


def admin_paths() -> Iterator[tuple[str, str]]:
    """Every route of the admin with a path to something of Acme's."""
    Group.objects.create(name="acme-group")
    WorkItem.objects.create(kind="test", title="Acme's", lane="sync")
    Lane.objects.create(name="default")
    acme = Organization.objects.get(name="Acme")
    events = ["batch_job.failed"]
    add_endpoint(actor=owner_of(acme), url="https://acme.example/hook", events=events)
    publish(organization=acme, event="batch_job.failed", key="1", data={"name": "acme's"})
    WorkerNode.objects.create(id=uuid.uuid4(), host="here", pid=1, slots=1)
    PeriodicRun.objects.create(name="sweep")
    add_rule(
        by=None,
        limiter="search",
        organization=acme,
        windows="5/min",
        reason="acme's",
    )
    make_checkpoints()
    for route in every_route():
        if not route.startswith("admin/"):
            continue
        path = re.sub(r"\^\(\?P<app_label>.*\)/\$", "jobs/", route)
        path = path.replace("(?P<url>.*)$", "nothing")
        path = path.replace("<path:content_type_id>", "1")
        if "<" in path:
            path = path.replace("<id>", "<path:object_id>")
            path = path.replace("<path:object_id>", str(_of_acme(path)))
        yield route, f"/{path}"


def _of_acme(path: str) -> object:
    _, app, model, *_ = path.split("/")
    if app == "r":
        return 1
    rows = apps.get_model(app, model)._default_manager.order_by("pk")
    found = rows.filter(email="alice@example.com") if model == "user" else rows
    found = rows.filter(name="Acme") if model == "organization" else found
    return found.values_list("pk", flat=True)[0]


@pytest.mark.parametrize("is_staff", [False, True])
def test_the_admin_shows_nothing_to_who_has_no_permission(
    charlie: User, client_for: ClientFor, job: dict[str, Any], is_staff: bool
) -> None:
    User.objects.filter(pk=charlie.pk).update(is_staff=is_staff)
    paths = list(admin_paths())
    before = everything()
    for route, path in paths:
        browser = client_for(charlie)
        for ask in (browser.get, browser.post):
            answer = ask(path, {"post": "yes", "_popup": "1"}, follow=True)
            # Whoever is signed in may sign out.
            may_see = route == "admin/logout/" or (is_staff and route in ADMIN_WITHOUT_DATA)
            is_known = (200, 405) if may_see else (403, 404, 405)
            if is_staff and route.startswith("admin/queue/workitem/"):
                is_known = (200, 403, 405)  # they see their own, and are led away from others'
            assert answer.status_code in is_known, (route, ask)
            check_nothing_foreign(answer)
    assert without_logins(everything()) == without_logins(before)


def test_a_read_only_operator_sees_all_of_the_admin_and_changes_nothing(
    charlie: User, client_for: ClientFor, job: dict[str, Any]
) -> None:
    User.objects.filter(pk=charlie.pk).update(is_staff=True)
    make_viewer(user=charlie)
    paths = list(admin_paths())
    before = everything()
    seen = set()
    for route, path in paths:
        browser = client_for(charlie)
        answer = browser.get(path, follow=True)
        assert answer.status_code in (200, 403, 404, 405), route
        if answer.status_code == 200:
            seen.add(route)
        assert browser.post(path, {"post": "yes"}, follow=True).status_code != 500, route
    assert without_logins(everything()) == without_logins(before)
    lists = re.compile(r"admin/\w+/\w+/(<path:object_id>/(change|history)/)?")
    assert {route for route, _ in paths if lists.fullmatch(route)} <= seen
    assert not [route for route in seen if route.endswith(("/add/", "/delete/"))]


def without_logins(rows: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    return [[{**row, "last_login": None} for row in table] for table in rows]
