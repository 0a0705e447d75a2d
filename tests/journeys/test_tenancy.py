"""Outside your organization nothing exists: every route, walked as a stranger."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from apps.accounts.models import User
from apps.jobs.models import BatchFile, BatchJob
from tests.conftest import ApiFor, ClientFor
from tests.jobs.forms import UPLOAD, accepted, files_of, part, post
from tests.jobs.runs import fail_next, read_next

# Every route under api/ is in one of these; a new one without a place fails the first test.
OPEN_TO_ALL = {"api/schema": ["GET"], "api/health": ["GET"]}
LISTS = {"api/batch/jobs": ["GET"]}
MAKES = {"api/batch/upload": ["POST"]}
DETAILS = {
    "api/batch/jobs/<uuid:job_id>": ["GET", "DELETE"],
    "api/batch/jobs/<uuid:job_id>/files": ["GET"],
    "api/batch/jobs/<uuid:job_id>/cancel": ["POST"],
    "api/batch/jobs/<uuid:job_id>/retry": ["POST"],
    "api/batch/jobs/<uuid:job_id>/results.ndjson": ["GET"],
    "api/batch/jobs/<uuid:job_id>/results.zip": ["GET"],
    "api/batch/files/<uuid:file_id>": ["GET"],
    "api/batch/files/<uuid:file_id>/text": ["GET"],
    "api/batch/files/<uuid:file_id>/result": ["GET"],
    "api/batch/files/<uuid:file_id>/content": ["GET"],
}
VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def routes(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Every route of the URL table with its view."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route, pattern


def api_routes() -> dict[str, URLPattern]:
    every = dict(routes(get_resolver().url_patterns))
    return {route: pattern for route, pattern in every.items() if route.startswith("api/")}


CASES = [(route, verb) for route, verbs in DETAILS.items() for verb in verbs]


@pytest.fixture
def job(alice_api: APIClient) -> dict[str, Any]:
    """Alice's, with one file read, one failed and one rejected."""
    made = accepted(alice_api, part(), part(b"b", "b.txt"), part(b"", "bad.txt"))
    read_next()
    fail_next()
    return made


def filled_in(route: str, job: dict[str, Any], file: BatchFile) -> str:
    return "/" + route.replace("<uuid:job_id>", job["id"]).replace("<uuid:file_id>", str(file.pk))


def test_every_route_has_its_place_here() -> None:
    known = {**OPEN_TO_ALL, **LISTS, **MAKES, **DETAILS}
    assert set(api_routes()) == set(known)
    for route, pattern in api_routes().items():
        view = getattr(pattern.callback, "view_class", None)
        if view is not None:
            offered = [verb for verb in VERBS if hasattr(view, verb.lower())]
            assert offered == known[route], route


@pytest.mark.parametrize(("route", "verb"), CASES)
def test_what_is_another_organizations_is_not_there(
    charlie_api: APIClient, job: dict[str, Any], route: str, verb: str
) -> None:
    before = list(BatchJob.objects.values()), list(BatchFile.objects.order_by("pk").values())
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
    assert before == (
        list(BatchJob.objects.values()),
        list(BatchFile.objects.order_by("pk").values()),
    )


@pytest.mark.parametrize("route", LISTS)
def test_lists_are_empty(charlie_api: APIClient, job: dict[str, Any], route: str) -> None:
    assert charlie_api.get(f"/{route}").json()["results"] == []


def test_a_browser_that_is_signed_in_elsewhere_sees_nothing_either(
    charlie: User, client_for: ClientFor, job: dict[str, Any]
) -> None:
    browser = client_for(charlie)
    file = BatchFile.objects.filter(state="succeeded").get()
    for route, verb in CASES:
        answer = browser.generic(verb, filled_in(route, job, file))
        assert answer.status_code == 404, route


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
    paths = [*DETAILS.items(), *LISTS.items(), *MAKES.items()]
    for route, verbs in paths:
        for verb in verbs:
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
    for route, verb in CASES:
        answer = bob_api.generic(verb, filled_in(route, job, file))
        assert answer.status_code == (200 if verb == "GET" else 403), (route, verb)
        if answer.streaming:
            assert b"".join(answer.streaming_content)
    assert bob_api.post(UPLOAD).status_code == 403
    assert files_of(bob_api, job) == files_of(alice_api, job)


def test_the_open_paths_tell_nothing_of_anybody(job: dict[str, Any]) -> None:
    for route in OPEN_TO_ALL:
        answer = Client().get(f"/{route}")
        assert answer.status_code == 200
        assert job["id"].encode() not in answer.content
