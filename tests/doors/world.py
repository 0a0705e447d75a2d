"""Acme with one of everything and a person of each role, for what knocks at every door."""

from dataclasses import dataclass, field

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client
from rest_framework.test import APIClient

from apps.accounts.actor import SESSION_KEY, Actor
from apps.accounts.models import ApiKey, Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_api_key, create_user, invite
from apps.notifications.models import Notification
from apps.webhooks.models import Delivery
from apps.webhooks.services import add_endpoint
from tests.jobs.exporting import EXPORTS, built
from tests.jobs.forms import accepted, files_of, part
from tests.jobs.parts import added, begun, uploaded
from tests.jobs.runs import fail_next, read_next
from tests.notifications.telling import tell as notify
from tests.webhooks.messages import tell as publish

ROLES = tuple(Role)


@dataclass
class World:
    """`keys` and `sessions` by role; `ids` by the name of the parameter in paths; `own` are the
    things that who knocks needs and must not take away: their memberships and keys."""

    organization: Organization
    users: dict[Role, User] = field(default_factory=dict)
    keys: dict[Role, str] = field(default_factory=dict)
    sessions: dict[Role, str] = field(default_factory=dict)
    ids: dict[str, list[str]] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)

    def add(self, name: str, *found: object) -> None:
        self.ids.setdefault(name, []).extend(map(str, found))

    def api(self, role: Role) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.keys[role]}")
        return client

    def headers(self, role: Role | None, how: str) -> dict[str, str]:
        """Those with which that person comes by `key` or `session`; none for nobody."""
        if role is None:
            return {}
        if how == "key":
            return {"Authorization": f"Bearer {self.keys[role]}"}
        token = "a" * 32
        cookie = f"{settings.SESSION_COOKIE_NAME}={self.sessions[role]}; csrftoken={token}"
        return {"Cookie": cookie, "X-CSRFToken": token}


def people_of(organization: Organization, tag: str) -> World:
    """The organization with a person of each role; its owner is the first."""
    world = World(organization)
    owner = Membership.objects.get(organization=organization, role=Role.OWNER).user
    for role in ROLES:
        user = owner
        if role is not Role.OWNER:
            user = create_user(
                email=f"{role}-{tag}@example.com", password=None, name=f"{tag} {role}"
            )
            add_member(organization=organization, user=user, role=role)
        key, token = create_api_key(organization=organization, user=user, name=f"{tag} {role} key")
        world.users[role], world.keys[role] = user, token
        world.sessions[role] = session_of(user, organization)
        mine = Membership.objects.get(organization=organization, user=user)
        world.own |= {str(key.pk), str(mine.public_id)}
    return world


def session_of(user: User, organization: Organization) -> str:
    """The cookie of a browser in which `user` is signed in to `organization`."""
    client = Client()
    client.force_login(user)
    session = client.session
    assert isinstance(session, SessionStore)
    session[SESSION_KEY] = str(organization.pk)
    session.save()
    return str(session.session_key)


def furnish(world: World, tag: str, *, jobs: int = 3) -> World:
    """Adds what there can be: `jobs` in each state, exports, uploads, members, keys, messages."""
    owner, contributor = world.api(Role.OWNER), world.api(Role.CONTRIBUTOR)
    for number in range(jobs):
        for api in (owner, contributor):
            name = f"{tag}-{number}"
            done = accepted(api, part(name=f"{name}-a.txt"), part(name=f"{name}-b.txt"))
            read_next(f"{tag} text")
            fail_next()
            export = built(api, done["id"])
            world.add("job_id", done["id"])
            world.add("export_id", export["id"])
            world.add("file_id", *(each["id"] for each in files_of(api, done)))
            world.add("upload_id", begun(api, 8, f"{name}-u.txt").rpartition("/")[2])
            world.add("upload_id", uploaded(api, b"whole", f"{name}-w.txt"))
    for api in (owner, contributor):
        waiting = accepted(api, part(name=f"{tag}-waits.txt"), part(b"", f"{tag}-bad.txt"))
        asked = api.post(EXPORTS, {"format": "csv", "jobs": [waiting["id"]]}, format="json")
        world.add("export_id", asked.json()["id"])
        world.add("job_id", waiting["id"])
        world.add("file_id", *(each["id"] for each in files_of(api, waiting)))
        added(api, begun(api, 8, f"{tag}-half.txt"), 0, b"half")
    _people_and_messages(world, tag, jobs)
    return world


def _people_and_messages(world: World, tag: str, count: int) -> None:
    organization = world.organization
    actor = Actor(user=world.users[Role.OWNER], organization=organization, role=Role.OWNER)
    for number in range(count):
        guest = create_user(
            email=f"guest{number}-{tag}@example.com", password=None, name=f"{tag} guest"
        )
        add_member(organization=organization, user=guest, role=Role.READER)
        member = Membership.objects.get(organization=organization, user=guest)
        world.add("member_id", member.public_id)
        address = f"{tag}-{number}@example.com"
        world.add("invitation_id", invite(actor=actor, email=address, role=Role.READER).pk)
        for role in ROLES:
            name = f"{tag} spare {number}"
            key, _ = create_api_key(organization=organization, user=world.users[role], name=name)
            world.add("api_key_id", key.pk)
            world.add("notification_id", notify(world.users[role], organization, 100 + number).pk)
        url = f"https://{tag}.example/hook/{number}"
        endpoint, _ = add_endpoint(actor=actor, url=url, events=["batch_job.failed"])
        world.add("endpoint_id", endpoint.pk)
        publish(organization, key=f"{tag}-{number}")
    deliveries = Delivery.objects.filter(endpoint__organization=organization)
    world.add("delivery_id", *deliveries.values_list("pk", flat=True))
    assert Notification.objects.filter(organization=organization).exists()
    assert ApiKey.objects.filter(organization=organization).count() > len(ROLES)
