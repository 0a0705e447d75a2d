"""Every route by every role, by key and by session, for one's own things and for others'."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest
from django.db import transaction
from django.test import Client

from apps.accounts.actor import Actor
from apps.accounts.models import ApiKey, Membership, Organization, SignedIn, User
from apps.accounts.roles import Action, Resource, Role, allows
from apps.accounts.services import (
    add_member,
    change_role,
    create_api_key,
    create_user,
    invite,
    know_session,
)
from apps.notifications.models import Notification
from apps.webhooks.models import Delivery
from apps.webhooks.services import add_endpoint
from tests.conftest import ApiFor
from tests.doors.world import session_of
from tests.jobs.exporting import built
from tests.jobs.forms import accepted, body, files_of, part
from tests.jobs.parts import begun
from tests.jobs.runs import fail_next, read_next
from tests.journeys.matrix import Line, lines
from tests.journeys.routes import EVERY
from tests.notifications.telling import tell
from tests.webhooks.messages import tell as publish

pytestmark = [pytest.mark.once, pytest.mark.django_db, pytest.mark.timeout(400)]

REFUSED = (401, 403, 404, 405)
WITHOUT_STREAMS = 501
WITHOUT_FORM = (
    "api/batch/files/<uuid:file_id>/pages/<int:number>/image",  # all files here are texts
    "organization",
    "jobs/<uuid:job_id>/exports",
)
"""What is not there although it may be asked for: the form says what of it, and is empty."""
MAKERS = (Role.OWNER, Role.ADMIN, Role.CONTRIBUTOR, Role.READER)


@dataclass(frozen=True)
class Caller:
    """Somebody who comes with `headers`, and by `how` they came; may as much as `role`."""

    user: User
    role: Role
    how: str
    headers: dict[str, str]


@dataclass
class House:
    """People of each role, all of whom have made things: as admins, which some were before."""

    organization: Organization
    users: dict[Role, User]
    things: dict[Role, dict[str, str]]

    def callers(self) -> Iterator[Caller]:
        for role, user in self.users.items():
            yield Caller(user, role, "session", self._by_session(user))
            yield Caller(user, role, "key", self._by_key(user, None))
            if role is not Role.OWNER:
                owner = self.users[Role.OWNER]
                yield Caller(owner, role, "key of less", self._by_key(owner, role))

    def path(self, line: Line, caller: Caller, *, own: bool) -> str:
        """With the ids of things that the caller made, or that somebody else did."""
        makers = [role for role in MAKERS if (self.users[role] == caller.user) is own]
        names = self.things[makers[0]] | {"number": "1", "token": "x", "uidb64": "x"}
        names["code"] = "request.not_found"
        return "/" + re.sub(r"<\w+:(\w+)>", lambda found: names[found[1]], line.route)

    def _by_session(self, user: User) -> dict[str, str]:
        return {"Cookie": f"sessionid={session_of(user, self.organization)}"}

    def _by_key(self, user: User, role: Role | None) -> dict[str, str]:
        _, token = create_api_key(
            organization=self.organization, user=user, name="door", role=role or self._role(user)
        )
        return {"Authorization": f"Bearer {token}"}

    def _role(self, user: User) -> Role:
        return Role(Membership.objects.get(organization=self.organization, user=user).role)


@pytest.fixture
def house(acme: Organization, alice: User, api_for: ApiFor) -> House:
    users = {Role.OWNER: alice}
    for role in MAKERS[1:]:
        users[role] = create_user(email=f"{role}@example.com", password=None, name=str(role))
        add_member(organization=acme, user=users[role], role=Role.ADMIN)
    owner = Actor(user=alice, organization=acme, role=Role.OWNER)
    shared = _shared(owner)
    things = {role: shared | _made_by(api_for, user, acme) for role, user in users.items()}
    for role in MAKERS[2:]:
        demoted = Membership.objects.get(organization=acme, user=users[role])
        change_role(actor=owner, membership=demoted, role=role)
    return House(acme, users, things)


def _shared(owner: Actor) -> dict[str, str]:
    guest = create_user(email="guest@example.com", password=None, name="Guest")
    member = add_member(organization=owner.organization, user=guest, role=Role.READER)
    return {
        "member_id": str(member.public_id),
        "invitation_id": str(invite(actor=owner, email="x@example.com", role=Role.READER).pk),
    }


def _made_by(api_for: ApiFor, user: User, organization: Organization) -> dict[str, str]:
    api = api_for(user)
    job = accepted(api, part(), part())
    read_next()
    fail_next()
    key = ApiKey.objects.filter(user=user, organization=organization).latest("created_at")
    note = tell(user, organization)
    actor = Actor(user=user, organization=organization, role=Role.ADMIN)
    endpoint, _ = add_endpoint(
        actor=actor, url="https://acme.example/hook", events=["batch_job.failed"]
    )
    publish(organization, key=user.name)
    delivery = Delivery.objects.get(endpoint=endpoint, event="batch_job.failed")
    session = session_of(user, organization)
    know_session(user=user, session_key=session, agent="")
    return {
        "session_id": str(SignedIn.objects.get(session_id=session).pk),
        "job_id": job["id"],
        "file_id": files_of(api, job)[0]["id"],
        "export_id": built(api, job["id"])["id"],
        "endpoint_id": str(endpoint.pk),
        "delivery_id": str(delivery.pk),
        "upload_id": begun(api, 8).rpartition("/")[2],
        "api_key_id": str(key.pk),
        "key_id": str(key.pk),
        "notification_id": str(note.pk),
        "pk": str(note.pk),
    }


def ask(line: Line, path: str, headers: dict[str, str]) -> Any:
    """The answer, whatever was done for it undone again."""
    with transaction.atomic():
        content = {"content_type": "application/json"} if line.is_api else {}
        answer = Client().generic(line.verb, path, headers=headers, **content)
        body(answer)
        transaction.set_rollback(True)
    return answer


def expected(line: Line, caller: Caller, *, own: bool) -> int | None:
    """The status of the refusal; None where it is let in."""
    if line.is_open:
        return None
    if line.is_for_staff:
        return 403
    if line.is_for_persons and caller.how != "session":
        return 403
    if line.is_its_makers and not own:
        return 404
    if line.permission is None:
        return None
    resource, action = line.permission
    is_owner = own or line.is_of_ones_own
    may = allows(caller.role, cast(Action, action), cast(Resource, resource), is_owner=is_owner)
    return None if may else 403


def is_let_in(line: Line, status: int) -> bool:
    if line.is_open or line.route in WITHOUT_FORM:  # there may be nothing there
        return status not in (401, 403, 405) and status < 500
    return status not in REFUSED and (status < 500 or status == WITHOUT_STREAMS)


def asked(house: House) -> Iterator[tuple[Caller, Line, bool]]:
    """Whom to come as, where to, and whether for something of one's own: for both where that makes
    a difference."""
    for caller in list(house.callers()):
        is_session = caller.how == "session"
        for line in lines():
            if line.is_open or not (line.is_api or is_session):
                continue
            if line.is_api and line.is_for_staff:
                continue  # it looks who asks beside this transaction: tests/health/test_views.py
            same = expected(line, caller, own=True) == expected(line, caller, own=False)
            for own in (is_session,) if same else (True, False):
                yield caller, line, own


def test_every_method_of_every_route_has_its_line() -> None:
    listed = [(line.route, line.verb) for line in lines()]
    assert len(set(listed)) == len(listed)
    assert set(listed) == {(route, verb) for route, verbs in EVERY.items() for verb in verbs}


def test_every_role_may_what_the_table_says_and_nothing_else(house: House) -> None:
    wrong = []
    seen = {None: 0, 403: 0, 404: 0}
    for caller, line, own in asked(house):
        due = expected(line, caller, own=own)
        status = ask(line, house.path(line, caller, own=own), caller.headers).status_code
        seen[due] += 1
        if not (is_let_in(line, status) if due is None else status == due):
            wrong.append((caller.role, caller.how, own, line, status, due))
    assert not wrong, "\n".join(map(str, wrong))
    assert min(seen.values()) > 20, seen


def test_nobody_comes_in_but_where_it_is_open(house: House) -> None:
    anyone = Caller(house.users[Role.OWNER], Role.OWNER, "nothing", {})
    for line in lines():
        answer = ask(line, house.path(line, anyone, own=True), {})
        if line.is_open:
            assert is_let_in(line, answer.status_code), line
        elif line.is_for_staff:
            assert answer.status_code == (401 if line.is_api else 403), line
        elif line.is_api:
            assert answer.status_code == 401, line
        else:
            assert answer.status_code == 302, line
            assert answer["Location"].startswith("/sign-in"), line
    assert Notification.objects.exists()
