"""Members with each role, made as they come about."""

from apps.accounts.actor import Actor
from apps.accounts.models import Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_user

PASSWORD = "a mill by the river"


def join(organization: Organization, name: str, role: Role) -> Actor:
    """A new person who is a member with `role`."""
    user = create_user(email=f"{name}@example.com", password=PASSWORD, name=name.capitalize())
    add_member(organization=organization, user=user, role=role)
    return Actor(user=user, organization=organization, role=role)


def actor_of(organization: Organization, user: User) -> Actor:
    role = Role(membership_of(organization, user).role)
    return Actor(user=user, organization=organization, role=role)


def membership_of(organization: Organization, user: User) -> Membership:
    return Membership.objects.select_related("user").get(organization=organization, user=user)


def roles_in(organization: Organization) -> dict[str, str]:
    """Role by address."""
    members = Membership.objects.filter(organization=organization)
    return dict(members.values_list("user__email", "role"))
