"""Who uses the service: made by `manage.py shell` in the service's own environment."""

import json

from django.contrib.auth.tokens import default_token_generator
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_api_key, create_organization, create_user
from apps.queue.lanes import set_limits
from apps.queue.pauses import pause
from apps.web.mails import invitation

PASSWORD = "a mill by the harbour"
OFFICE = "Harbour Office"
WORKSHOP = "Workshop"
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
    print(json.dumps({each.name: _key(each) for each in (office, workshop, elsewhere)}))  # noqa: T201


def invite() -> None:
    """Prints, as JSON, what the mails to a new person, and to one without a password, lead to."""
    olga = _user("olga")  # never signs in, which would end her link
    number = urlsafe_base64_encode(force_bytes(olga.pk))
    reset = f"{number}/{default_token_generator.make_token(olga)}"
    print(json.dumps({"reset": reset, "invitation": invitation("new@example.com")}))  # noqa: T201


def _user(name: str) -> User:
    return create_user(email=f"{name}@example.com", password=PASSWORD, name=name.capitalize())


def _key(organization: Organization) -> str:
    owner = User.objects.get(memberships__organization=organization, memberships__role=Role.OWNER)
    return create_api_key(organization=organization, user=owner, name="stage")[1]
