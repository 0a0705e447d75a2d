"""Who uses the service: made by `manage.py shell` in the service's own environment."""

import json
from datetime import timedelta

from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from apps.accounts.actor import Actor
from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_api_key, create_organization, create_user
from apps.notifications.unsubscribing import token_of
from apps.queue.lanes import set_limits
from apps.queue.pauses import pause
from apps.web.mails import invitation
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.outbox import publish
from apps.webhooks.sending import Outcome, note
from apps.webhooks.services import add_endpoint
from tests.browser import colleagues

PASSWORD = "a mill by the harbour"
OFFICE = "Harbour Office"
WORKSHOP = "Workshop"
AWAY = "https://away.example"
ELSEWHERE = "Lighthouse Trust"


def make() -> None:
    """Prints, as JSON, an API key for each organization by its name.

    The office has every state there is and nothing in it changes; what tests change is in the
    workshop. Charlie and all of the trust must never be seen by the others.
    """
    admin = User.objects.get(is_superuser=True)
    office = create_organization(name=OFFICE, owner=admin)
    carla = _user("carla")
    add_member(organization=office, user=carla, role=Role.CONTRIBUTOR)
    add_member(organization=office, user=_user("rita"), role=Role.READER)
    workshop = create_organization(name=WORKSHOP, owner=_user("wendy"))
    elsewhere = create_organization(name=ELSEWHERE, owner=_user("charlie"))
    _user("nora")  # has nothing yet
    _user("ursula")  # asks for more than she may
    pause(by=admin, lane="email", reason="The mail server moves to the new building.")
    pause(by=admin, lane="sync", organization=elsewhere, reason="Asked for by the trust.")
    set_limits(by=admin, lane="export", max_running=2, max_running_per_organization=1)
    add_webhooks(admin, office)
    tokens = {each.name: _key(each) for each in (office, workshop, elsewhere)}
    colleagues.make(office)
    print(json.dumps(tokens))  # noqa: T201


@transaction.atomic
def add_webhooks(admin: User, office: Organization) -> None:
    """One that works and one that does not. Nothing is sent: it is left alone for years."""
    actor = Actor(user=admin, organization=office, role=Role.OWNER)
    events = ["batch_job.partial", "batch_job.failed", "batch_file.quarantined"]
    for name, url in (("Ledger", "https://ledger.example/hooks/docmill"), ("", f"{AWAY}/hook")):
        add_endpoint(actor=actor, url=url, events=events, name=name)
    for key in ("taken", "refused", "waits"):
        publish(organization=office, event="batch_job.failed", key=key, data={"id": key})
    taken, away, refused, _, waits, _ = Delivery.objects.order_by("pk")
    now = timezone.now()
    late = Outcome(now, 10_004, code="webhook.unreached", error="timeout: No answer in 10 seconds.")
    wrong = Outcome(now, 85, 500, "It answered 500.", "webhook.status", "<h1>Out of paper</h1>")
    for delivery, outcome in ((taken, Outcome(now, 85, 204)), (refused, wrong), (away, late)):
        note(delivery, outcome, is_last=True)
    note(waits, wrong, is_last=False)
    Endpoint.objects.update(failed_in_row=1, rests_until=now + timedelta(days=999))
    Endpoint.objects.filter(name="Ledger").update(failing_since=None)


def invite() -> None:
    """Prints, as JSON, what the mails to a new person, and to one without a password, lead to."""
    olga = _user("olga")  # never signs in, which would end her link
    number = urlsafe_base64_encode(force_bytes(olga.pk))
    reset = f"{number}/{default_token_generator.make_token(olga)}"
    links = {
        "reset": reset,
        "invitation": invitation("new@example.com"),
        "unsubscribe": token_of(olga.pk, "job_finished"),
    }
    print(json.dumps(links | colleagues.links(Organization.objects.get(name=OFFICE))))  # noqa: T201


def _user(name: str) -> User:
    return create_user(email=f"{name}@example.com", password=PASSWORD, name=name.capitalize())


def _key(organization: Organization) -> str:
    owner = User.objects.get(memberships__organization=organization, memberships__role=Role.OWNER)
    return create_api_key(organization=organization, user=owner, name="stage")[1]
