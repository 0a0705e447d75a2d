"""Who is acting, in which organization, with which role."""

import uuid
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request

from apps.accounts.errors import Forbidden
from apps.accounts.models import ApiKey, Membership, Organization, User
from apps.accounts.roles import Action, Resource, Role, allows, lower_of
from apps.core.exchange import note_who

SESSION_KEY = "organization_id"
"""Where the session keeps the organization that its user has switched to, as a string."""


@dataclass(frozen=True)
class Actor:
    """A user in one organization. `key` is the API key they act through, None in a session.

    `work_id` is that of the background work (`queue.WorkItem`) which acts in their name, if any.
    """

    user: User
    organization: Organization
    role: Role
    key: ApiKey | None = None
    work_id: str = ""

    def may(self, action: Action, resource: Resource, *, created_by_id: int | None = None) -> bool:
        """Whether the table of `apps.accounts.roles` allows it.

        `created_by_id` is the id of the user who made the thing in question, when there is one.
        The thing must be of the actor's organization: look it up with `in_organization` first.
        """
        return allows(self.role, action, resource, is_owner=created_by_id == self.user.pk)

    def require(
        self, action: Action, resource: Resource, *, created_by_id: int | None = None
    ) -> None:
        """Raises Forbidden unless the actor may."""
        if not self.may(action, resource, created_by_id=created_by_id):
            raise Forbidden(f"Your role here, {self.role}, does not allow it: {action} {resource}.")

    def require_person(self) -> None:
        """Raises Forbidden where a key acts: what a stolen one must not do is for who signs in."""
        if self.key is not None:
            raise Forbidden("An API key may not do this, whatever its role: sign in to do it.")

    @classmethod
    def of_key(cls, key: ApiKey, *, member_role: str | None) -> "Actor":
        """The person of `key`, whose role in its organization is `member_role` today.

        A key never may more than its person, whatever they were when it was made. Raises
        Forbidden when they are no member any more.
        """
        if member_role is None:
            raise Forbidden("The person of this API key is not a member of its organization.")
        role = lower_of(Role(key.role), Role(member_role))
        return cls(user=key.user, organization=key.organization, role=role, key=key)

    @classmethod
    def operator(cls, user: User, organization: Organization, *, work_id: str = "") -> "Actor":
        """Staff who act from the admin, in an organization they need not belong to: they may what
        its owner may. Whether they may act there at all is the admin's to have checked.
        """
        return cls(user=user, organization=organization, role=Role.OWNER, work_id=work_id)

    @classmethod
    def of_request(cls, request: HttpRequest | Request) -> "Actor":
        """Who acts in a signed-in request; found once, then remembered on it.

        Through an API key, its person in its organization. In a session, the user in the
        organization they switched to, else their personal one, else the first they joined.
        Raises Forbidden when there is none.
        """
        plain = _plain(request)
        user, key = request.user, getattr(request, "auth", None)
        known: Actor | None = getattr(plain, "_docmill_actor", None)
        # Asked before and after a sign-in, one request has two answers.
        if known is not None and known.user == user and known.key == key:
            return known
        if not isinstance(user, User) or not user.is_active:
            raise Forbidden("Nobody is signed in.")
        if isinstance(key, ApiKey):
            actor = cls.of_key(key, member_role=_role_in(key.organization, user))
        else:
            actor = cls._of_session(user, getattr(plain, "session", {}).get(SESSION_KEY))
        actor.remember(request)
        return actor

    @classmethod
    def _of_session(cls, user: User, organization_id: Any) -> "Actor":
        switched_to = _uuid(organization_id)

        def preference(each: Membership) -> tuple[bool, bool, int]:
            own = each.organization.personal_of_id == user.pk
            return (each.organization_id != switched_to, not own, each.pk)

        # They are few, and to let SQL choose takes longer than all else that the bell asks.
        memberships = Membership.objects.filter(user=user).select_related("organization")
        membership = min(memberships, key=preference, default=None)
        if membership is None:
            raise Forbidden("You are not a member of any organization.")
        return cls(user=user, organization=membership.organization, role=Role(membership.role))

    def remember(self, request: HttpRequest | Request) -> None:
        """Spares whoever asks `of_request` next the queries."""
        plain = _plain(request)
        plain._docmill_actor = self  # type: ignore[attr-defined]  # a note on the request
        note_who(
            plain,
            user=str(self.user.pk),
            organization=str(self.organization.pk),
            key=str(self.key.pk) if self.key else "",
        )


def _plain(request: HttpRequest | Request) -> HttpRequest:
    """Django's own request, which middleware and Django REST framework share."""
    return request._request if isinstance(request, Request) else request


def _role_in(organization: Organization, user: User) -> str | None:
    members = Membership.objects.in_organization(organization).filter(user=user)
    return members.values_list("role", flat=True).first()


def _uuid(text: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return None
