"""Nobody learns by asking what another organization has: what is there and what never was are
answered alike, with as many queries."""

import re
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.accounts.actor import Actor
from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import create_api_key
from apps.jobs.models import BatchFile
from tests.conftest import ApiFor, ClientFor
from tests.doors.world import session_of
from tests.jobs.exporting import EXPORTS, ask
from tests.jobs.forms import UPLOAD, accepted, body, part, post
from tests.jobs.parts import ids, uploaded
from tests.jobs.runs import read_next
from tests.journeys.matrix import Line, lines
from tests.journeys.test_matrix import House, house

__all__ = ["house"]

pytestmark = [pytest.mark.once, pytest.mark.django_db, pytest.mark.timeout(300)]

VARYING = ("x-request-id", "x-process-time", "date")
COUNTED = ("ratelimit", "x-ratelimit")
UUIDS = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32}")


def told(answer: Any) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers, without ids and what is counted."""
    headers = {
        name.lower(): UUIDS.sub("an id", value)
        for name, value in answer.items()
        if name.lower() not in VARYING and not name.lower().startswith(COUNTED)
    }
    return answer.status_code, UUIDS.sub("an id", body(answer).decode()), headers


def counted(line: Line, path: str, headers: dict[str, str]) -> tuple[Any, int]:
    """What is told there, and in how many queries."""
    with CaptureQueriesContext(connection) as asked:
        content = {"content_type": "application/json"} if line.is_api else {}
        answer = Client().generic(line.verb, path, headers=headers, **content)
        seen = told(answer)
    return seen, len(asked)


@pytest.mark.parametrize("how", ["key", "session"])
def test_a_strangers_id_is_told_of_as_one_that_never_was(
    house: House, charlie: User, other: Organization, how: str
) -> None:
    headers = {"Cookie": f"sessionid={session_of(charlie, other)}"}
    if how == "key":
        _, token = create_api_key(organization=other, user=charlie, name="c")
        headers = {"Authorization": f"Bearer {token}"}
    walked = 0
    for line in lines():
        if "<uuid:" not in line.route or (how == "key" and not line.is_api):
            continue
        there = house.things[Role.OWNER] | {"number": "1"}
        nowhere = {name: str(uuid.uuid4()) for name in there} | {"number": "1"}
        there_at, nowhere_at = (
            "/" + re.sub(r"<\w+:(\w+)>", lambda found, n=names: n[found[1]], line.route)
            for names in (there, nowhere)
        )
        for _ in range(3):  # what a process looks up anew every few seconds falls upon one of them
            seen, never = (counted(line, path, headers) for path in (there_at, nowhere_at))
            if seen == never:
                break
        assert seen == never, line
        assert seen[0][0] == 404, line
        walked += 1
    assert walked > 40


def test_ids_in_bodies_are_told_of_as_ones_that_never_were(
    alice_api: APIClient, charlie_api: APIClient
) -> None:
    job = accepted(alice_api)
    upload = uploaded(alice_api, b"acme's", "acme.txt")
    for there, asked in (
        (job["id"], lambda each: ask(charlie_api, each)),
        (upload, lambda each: post(charlie_api, ids(each))),
        (str(BatchFile.objects.get().pk), lambda each: charlie_api.get(parents(each))),
    ):
        mine = accepted(charlie_api)["id"]

        def parents(each: str, mine: str = mine) -> str:
            return f"/api/batch/jobs/{mine}/files?parent={each}"

        with CaptureQueriesContext(connection) as first:
            seen = told(asked(there))
        with CaptureQueriesContext(connection) as second:
            never = told(asked(str(uuid.uuid4())))
        assert (seen, len(first)) == (never, len(second))
        assert "acme" not in seen[1]
    assert charlie_api.get(EXPORTS).json()["results"] == []


def test_pages_that_take_ids_tell_the_same_of_both(
    alice_api: APIClient, acme: Organization, charlie: User, client_for: ClientFor
) -> None:
    job = accepted(alice_api)
    browser = client_for(charlie)
    for path, form, there in (
        ("/jobs/bulk", {"verb": "cancel", "sure": "1"}, ("jobs", job["id"])),
        ("/exports", {"format": "zip"}, ("jobs", job["id"])),
        ("/organization", {}, ("organization", str(acme.pk))),
    ):
        name, known = there
        answers = []
        for value in (known, str(uuid.uuid4())):
            answer = browser.post(path, {**form, name: value}, follow=True)
            answers.append((answer.status_code, UUIDS.sub("an id", masked(answer))))
        assert answers[0] == answers[1], path
    assert alice_api.get(job["url"]).json()["state"] == "queued"


def masked(answer: Any) -> str:
    """The page without the tokens of its forms, and the time, which are new each time."""
    return re.sub(r'[A-Za-z0-9]{64}|data-now="\d+"', "new", body(answer).decode())


def test_a_cursor_leads_nobody_into_another_organization(
    alice_api: APIClient, charlie_api: APIClient
) -> None:
    made = [accepted(alice_api)["id"] for _ in range(3)]
    mine = accepted(charlie_api)["id"]
    following = alice_api.get("/api/batch/jobs?limit=1").json()["next"]
    page = charlie_api.get(following.partition("testserver")[2]).json()
    assert {each["id"] for each in page["results"]} <= {mine}
    assert not [each for each in made if each in str(page)]


def test_the_same_key_and_the_same_bytes_of_another_organization_tell_nothing(
    alice_api: APIClient, charlie_api: APIClient
) -> None:
    """Neither that they were sent before, nor by how soon they are read."""
    known = {"Idempotency-Key": "one-key-of-two"}
    first = post(alice_api, part(b"the same bytes", "a.txt"), **known)
    read_next("acme's reading")
    second = post(charlie_api, part(b"the same bytes", "a.txt"), **known)
    assert (first.status_code, second.status_code) == (202, 202)
    assert "Idempotency-Replayed" not in second
    assert second.json()["id"] != first.json()["id"]
    [file] = BatchFile.objects.filter(job=second.json()["id"])
    assert (file.state, file.duplicate_of_id, file.waits_for_id) == ("queued", None, None)
    answer = post(charlie_api, part(b"other bytes", "a.txt"), **known)
    assert answer.status_code == 422  # of one's own it is told


def test_what_is_refused_of_a_stranger_names_nothing_of_theirs(
    house: House, charlie_api: APIClient
) -> None:
    names = [*(user.name for user in house.users.values()), house.organization.name]
    for line in lines():
        if line.is_api and "<uuid:" in line.route:
            values = house.things[Role.OWNER] | {"number": "1"}
            path = re.sub(r"<\w+:(\w+)>", lambda found, v=values: v[found[1]], line.route)
            text = body(charlie_api.generic(line.verb, f"/{path}")).decode()
            assert not [name for name in names if name in text], line


def test_a_revoked_an_expired_and_a_member_less_key_open_nothing(
    house: House, api_for: ApiFor
) -> None:
    owner = house.users[Role.OWNER]
    actor = Actor(user=owner, organization=house.organization, role=Role.OWNER)
    assert actor.may("delete", "organization")
    key, token = create_api_key(organization=house.organization, user=owner, name="gone")
    key.delete()
    User.objects.filter(pk=house.users[Role.ADMIN].pk).update(is_active=False)
    sleeping = session_of(house.users[Role.ADMIN], house.organization)
    for headers in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"sessionid={sleeping}"}):
        for line in lines():
            if line.is_api and not line.is_open:
                path = house.things[Role.OWNER] | {"number": "1"}
                filled = re.sub(r"<\w+:(\w+)>", lambda found, p=path: p[found[1]], line.route)
                answer = Client().generic(line.verb, f"/{filled}", headers=headers)
                assert answer.status_code == 401, line
    assert UPLOAD.startswith("/api/")
