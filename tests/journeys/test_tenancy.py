"""Outside your organization nothing exists: every route, walked as a stranger."""

import uuid
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.accounts.models import User
from apps.jobs.models import BatchFile, BatchJob
from tests.conftest import ApiFor, ClientFor
from tests.jobs.forms import UPLOAD, body, files_of, part, post
from tests.journeys.routes import (
    ADMIN_WITHOUT_DATA,
    DETAILS,
    EVERY,
    KEY_DETAILS,
    LIST_STREAMS,
    LISTS,
    MAKES,
    OF_ONES_OWN,
    OF_ONES_OWN_ORGANIZATION,
    OPEN_TO_ALL,
    PAGE_DETAILS,
    PAGES,
    PERSONAL,
    PERSONAL_LISTS,
    PERSONAL_PAGE_DETAILS,
    PERSONAL_PAGES,
    PICTURES,
    SEARCHABLE,
    SETTINGS,
    STREAMS,
)
from tests.journeys.walking import (
    IDS,
    cases,
    check_nothing_foreign,
    elsewhere,
    everything,
    filled_in,
    job,
)
from tests.routes import every_route

__all__ = ["job"]

pytestmark = pytest.mark.once

CONTROLS = ("pause", "resume", "priority", "requeue", "keep", "discard")
VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ACTIONS = (
    *(f"/{verb}" for verb in CONTROLS),
    *("/cancel", "/retry", "/delete", "/jobs/new", "/remove", "/revoke", "/resend"),
)
HTML = {"Accept": "text/html"}
CASES = cases(DETAILS)
FOREIGN_CASES = [
    *cases(DETAILS, SEARCHABLE, PICTURES, STREAMS, KEY_DETAILS, OF_ONES_OWN),
    *cases({route: verbs for route, verbs in PERSONAL.items() if "<" in route}),
]


def test_every_route_has_its_place_here() -> None:
    known = EVERY
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
        nowhere = elsewhere(job)
        of_nothing = charlie_api.generic(
            verb, filled_in(route, nowhere, BatchFile(pk=uuid.uuid4()))
        )
        assert of_nothing.json() | {"request_id": ""} == told | {"request_id": ""}
    # The key was used: that alone was written down.
    assert without_use(everything()) == without_use(before)


def without_use(rows: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    return [[{**row, "last_used_at": None} for row in table] for table in rows]


@pytest.mark.parametrize("route", OF_ONES_OWN_ORGANIZATION)
def test_what_is_of_ones_own_organization_shows_nothing_of_others(
    charlie_api: APIClient, charlie: User, client_for: ClientFor, job: dict[str, Any], route: str
) -> None:
    answer = charlie_api.get(f"/{route}")
    assert answer.status_code == 200
    check_nothing_foreign(answer, *(job[name] for name in IDS))
    check_nothing_foreign(client_for(charlie).get(f"/{route}", headers=HTML))


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
    own = (OF_ONES_OWN, OF_ONES_OWN_ORGANIZATION, PERSONAL, PERSONAL_LISTS)
    tables = (DETAILS, SEARCHABLE, PICTURES, STREAMS, KEY_DETAILS, LISTS, LIST_STREAMS, *own, MAKES)
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
        for route, verb in cases(PAGE_DETAILS, PERSONAL_PAGE_DETAILS):
            if "<" not in route:  # all of one's own
                continue
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
        nowhere = elsewhere(job)
        not_there = browser.generic(
            verb, filled_in(route, nowhere, BatchFile(pk=uuid.uuid4())), headers=known
        )
        assert there.content == not_there.content, route


@pytest.mark.parametrize("route", [each for each, verbs in SETTINGS.items() if "GET" in verbs])
def test_settings_show_nothing_of_others(
    charlie: User, client_for: ClientFor, job: dict[str, Any], route: str
) -> None:
    answer = client_for(charlie).get(f"/{route}", follow=True)
    assert answer.status_code == 200
    check_nothing_foreign(answer, *(job[name] for name in IDS))


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/jobs", "/jobs?q=job", "/jobs?state=partial", "/jobs/new"),
        *("/exports", "/notifications"),
    ],
)
def test_lists_show_nothing_of_others(
    charlie: User, client_for: ClientFor, alice: User, job: dict[str, Any], path: str
) -> None:
    answer = client_for(charlie).get(path)
    assert answer.status_code == 200
    check_nothing_foreign(answer, job["id"], *(str(file.pk) for file in BatchFile.objects.all()))
    if path not in ("/jobs/new", "/notifications"):
        assert job["id"] in client_for(alice).get(path).content.decode()


def test_strangers_are_led_to_the_sign_in(job: dict[str, Any]) -> None:
    before = everything()
    file = BatchFile.objects.filter(state="failed").get()
    pages = (PAGES, PAGE_DETAILS, PERSONAL_PAGES, PERSONAL_PAGE_DETAILS, SETTINGS)
    for route, verb in cases(*pages):
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
