"""Outside your organization nothing exists: every route, walked as a stranger."""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.test import Client
from rest_framework.test import APIClient

from apps.accounts.models import ApiKey, Membership, Organization, User
from apps.audit.models import AuditEntry
from apps.audit.services import record
from apps.jobs.models import BatchFile, BatchJob
from apps.queue.models import Lane, Pause, PeriodicRun, WorkerNode, WorkItem
from apps.ratelimits.rules import add_rule
from tests.conftest import ApiFor, ClientFor
from tests.jobs.forms import UPLOAD, accepted, body, field, files_of, part, post
from tests.jobs.runs import fail_next, read_next
from tests.journeys.routes import (
    ADMIN_WITHOUT_DATA,
    BY_LINK,
    DETAILS,
    LISTS,
    MAKES,
    OF_ONES_OWN_ORGANIZATION,
    OF_ONES_OWN_SESSION,
    OPEN_TO_ALL,
    PAGE_DETAILS,
    PAGES,
    PICTURES,
    SEARCHABLE,
)
from tests.routes import every_route

pytestmark = pytest.mark.once

CONTROLS = ("pause", "resume", "priority", "requeue", "keep", "discard")
VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ACTIONS = (*(f"/{verb}" for verb in CONTROLS), "/cancel", "/retry", "/delete", "/jobs/new")
HTML = {"Accept": "text/html"}
FOREIGN = ("Acme", "acme", "alice@example.com", "bob@example.com", "what was read")
"""What is in everything that was made here, and in no answer that Charlie gets."""


def cases(*tables: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(route, verb) for table in tables for route, verbs in table.items() for verb in verbs]


CASES = cases(DETAILS)
FOREIGN_CASES = cases(DETAILS, SEARCHABLE, PICTURES)


@pytest.fixture
def job(alice_api: APIClient, acme: Organization, alice: User, bob: User) -> dict[str, Any]:
    """Alice's, with one file read, one failed and one rejected. Acme's audit log tells of it."""
    made = accepted(
        alice_api,
        part(b"acme's plan", "acme-plan.txt"),
        part(b"b", "acme-b.txt"),
        part(b"", "acme-bad.txt"),
        field("name", "acme-job"),
    )
    read_next()
    fail_next()
    record(organization=acme, actor=alice, action="job.submit", reason="acme's reason")
    return made


def filled_in(route: str, job: dict[str, Any], file: BatchFile) -> str:
    names = {"<uuid:job_id>": job["id"], "<uuid:file_id>": str(file.pk), "<int:number>": "1"}
    for name, value in names.items():
        route = route.replace(name, value)
    return f"/{route}"


def everything() -> list[list[dict[str, Any]]]:
    """All rows that somebody could change."""
    models = (BatchJob, BatchFile, User, Organization, Membership, ApiKey, Pause, AuditEntry)
    return [list(model._default_manager.order_by("pk").values()) for model in models]


def check_nothing_foreign(answer: Any, *more: str) -> None:
    text = body(answer).decode(errors="replace")
    assert not [each for each in (*FOREIGN, *more) if each in text], text


def test_every_route_has_its_place_here() -> None:
    known = {
        **OPEN_TO_ALL,
        **LISTS,
        **OF_ONES_OWN_ORGANIZATION,
        **MAKES,
        **DETAILS,
        **SEARCHABLE,
        **PICTURES,
        **PAGES,
        **PAGE_DETAILS,
        **OF_ONES_OWN_SESSION,
        **BY_LINK,
    }
    found = every_route()
    assert {route for route in found if not route.startswith("admin/")} == set(known)
    assert set(found) >= ADMIN_WITHOUT_DATA
    for route, pattern in found.items():
        view = getattr(pattern.callback, "view_class", None)
        if view is not None and route.startswith("api"):
            offered = [verb for verb in VERBS if hasattr(view, verb.lower())]
            assert offered == known[route], route


# --- the API ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("route", "verb"), FOREIGN_CASES)
def test_what_is_another_organizations_is_not_there(
    charlie_api: APIClient, job: dict[str, Any], route: str, verb: str
) -> None:
    before = everything()
    for file in BatchFile.objects.all():
        answer = charlie_api.generic(verb, filled_in(route, job, file))
        assert answer.status_code == 404, answer.content
        assert answer["Content-Type"] == "application/problem+json"
        told = answer.json()
        assert (told["code"], told["request_id"]) == ("request.not_found", answer["X-Request-ID"])
        nowhere = {**job, "id": str(uuid.uuid4())}
        of_nothing = charlie_api.generic(
            verb, filled_in(route, nowhere, BatchFile(pk=uuid.uuid4()))
        )
        assert of_nothing.json() | {"request_id": ""} == told | {"request_id": ""}
    # The key was used: that alone was written down.
    assert without_use(everything()) == without_use(before)


def without_use(rows: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    return [[{**row, "last_used_at": None} for row in table] for table in rows]


@pytest.mark.parametrize("route", LISTS)
def test_lists_are_empty(charlie_api: APIClient, job: dict[str, Any], route: str) -> None:
    assert charlie_api.get(f"/{route}").json()["results"] == []


def test_a_browser_that_is_signed_in_elsewhere_sees_nothing_either(
    charlie: User, client_for: ClientFor, job: dict[str, Any]
) -> None:
    browser = client_for(charlie)
    for file in BatchFile.objects.all():
        for route, verb in FOREIGN_CASES:
            answer = browser.generic(verb, filled_in(route, job, file), headers=HTML)
            assert answer.status_code == 404, route
            check_nothing_foreign(answer)


@pytest.mark.parametrize("route", [*LISTS, "api", "api/docs"])
def test_pages_of_the_api_show_nothing_of_others(
    charlie: User, client_for: ClientFor, job: dict[str, Any], route: str
) -> None:
    answer = client_for(charlie).get(f"/{route}", headers=HTML)
    assert answer.status_code == 200
    check_nothing_foreign(answer, job["id"])


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (None, "auth.required"),
        ("dm_wrong", "auth.invalid_key"),
        ("", "auth.invalid_key"),
        ("dm_\u00e9", "auth.invalid_key"),
    ],
)
def test_without_a_good_key_nobody_comes_in(
    job: dict[str, Any], api_for: ApiFor, token: str | None, code: str
) -> None:
    api = APIClient() if token is None else api_for(token)
    file = BatchFile.objects.filter(state="succeeded").get()
    tables = (DETAILS, SEARCHABLE, PICTURES, LISTS, OF_ONES_OWN_ORGANIZATION, MAKES)
    for route, verb in cases(*tables):
        answer = api.generic(verb, filled_in(route, job, file))
        assert (answer.status_code, answer.json()["code"]) == (401, code), route
        assert answer["WWW-Authenticate"] == 'Bearer realm="docmill"'
        assert answer["Content-Type"] == "application/problem+json"
    assert post(api, part()).status_code == 401
    assert BatchJob.objects.count() == 1


def test_readers_read_everything_and_change_nothing(
    bob_api: APIClient, alice_api: APIClient, job: dict[str, Any]
) -> None:
    file = BatchFile.objects.filter(state="succeeded").get()
    for route, verb in cases(DETAILS, OF_ONES_OWN_ORGANIZATION):
        answer = bob_api.generic(verb, filled_in(route, job, file))
        assert answer.status_code == (200 if verb == "GET" else 403), (route, verb)
        assert body(answer)
    assert bob_api.post(UPLOAD).status_code == 403
    assert files_of(bob_api, job) == files_of(alice_api, job)


def test_the_open_paths_tell_nothing_of_anybody(job: dict[str, Any]) -> None:
    for route in OPEN_TO_ALL:
        answer = Client().get(f"/{route}")
        assert answer.status_code == (302 if route == "favicon.ico" else 200), route
        check_nothing_foreign(answer, job["id"])


# --- the pages ----------------------------------------------------------------------------------


def test_pages_of_anothers_are_not_there_and_change_nothing(
    charlie: User, client_for: ClientFor, job: dict[str, Any]
) -> None:
    browser = client_for(charlie)
    before = everything()
    for file in BatchFile.objects.all():
        for route, verb in cases(PAGE_DETAILS):
            path = filled_in(route, job, file)
            for headers in ({}, {"HX-Request": "true"}):
                answer = browser.generic(verb, path, headers=headers)
                assert answer.status_code == 404, (route, verb)
                check_nothing_foreign(answer)
    assert everything() == before


def test_a_stranger_is_told_the_same_of_what_is_there_and_what_is_not(
    charlie: User, client_for: ClientFor, job: dict[str, Any]
) -> None:
    browser = client_for(charlie)
    file = BatchFile.objects.filter(state="failed").get()
    known = {"X-Request-ID": "the-one-id"}
    for route, verb in cases(PAGE_DETAILS):
        there = browser.generic(verb, filled_in(route, job, file), headers=known)
        nowhere = {**job, "id": str(uuid.uuid4())}
        not_there = browser.generic(
            verb, filled_in(route, nowhere, BatchFile(pk=uuid.uuid4())), headers=known
        )
        assert there.content == not_there.content, route


@pytest.mark.parametrize("path", ["/", "/jobs", "/jobs?q=job", "/jobs?state=partial", "/jobs/new"])
def test_lists_show_nothing_of_others(
    charlie: User, client_for: ClientFor, alice: User, job: dict[str, Any], path: str
) -> None:
    answer = client_for(charlie).get(path)
    assert answer.status_code == 200
    check_nothing_foreign(answer, job["id"], *(str(file.pk) for file in BatchFile.objects.all()))
    if path != "/jobs/new":
        assert job["id"] in client_for(alice).get(path).content.decode()


def test_strangers_are_led_to_the_sign_in(job: dict[str, Any]) -> None:
    before = everything()
    file = BatchFile.objects.filter(state="failed").get()
    for route, verb in cases(PAGES, PAGE_DETAILS):
        answer = Client().generic(verb, filled_in(route, job, file))
        assert answer.status_code == 302, (route, verb)
        assert answer["Location"].startswith("/sign-in?next=/")
        assert not answer.content
    assert everything() == before


def test_readers_see_every_page_and_are_offered_no_change(
    bob: User, alice: User, client_for: ClientFor, job: dict[str, Any]
) -> None:
    browser, owner = client_for(bob), client_for(alice)
    before = everything()
    file = BatchFile.objects.filter(state="failed").get()
    seen = set()
    for route, verb in cases(PAGES, PAGE_DETAILS):
        path = filled_in(route, job, file)
        answer = browser.generic(verb, path)
        changes = verb == "POST" or f"/{route}".endswith(ACTIONS)
        assert answer.status_code == (403 if changes else 200), (route, verb)
        text = answer.content.decode()
        assert not [action for action in ACTIONS if f'{action}"' in text], (route, text)
        if not changes:
            owners = owner.get(path).content.decode()
            seen |= {action for action in ACTIONS if f'{action}"' in owners}
    assert everything() == before
    assert seen >= {"/retry", "/delete", "/jobs/new"}  # as an owner is


# --- the admin ----------------------------------------------------------------------------------


def admin_paths() -> Iterator[tuple[str, str]]:
    """Every route of the admin with a path to something of Acme's."""
    Group.objects.create(name="acme-group")
    WorkItem.objects.create(kind="test", title="Acme's", lane="sync")
    Lane.objects.create(name="default")
    WorkerNode.objects.create(id=uuid.uuid4(), host="here", pid=1, slots=1)
    PeriodicRun.objects.create(name="sweep")
    add_rule(
        by=None,
        limiter="search",
        organization=Organization.objects.get(name="Acme"),
        windows="5/min",
        reason="acme's",
    )
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


def without_logins(rows: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    return [[{**row, "last_login": None} for row in table] for table in rows]
