"""API keys, as people make and revoke them."""

from datetime import datetime

from django.db import transaction

from apps.accounts.actor import Actor
from apps.accounts.errors import Forbidden, TooMany
from apps.accounts.models import ApiKey, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services.holding import as_now
from apps.accounts.services.making import COMMAND_LINE, create_api_key, revoke_api_key
from apps.audit.services import record
from apps.core.errors import FieldError
from apps.core.transactions import repeated

MAX_LIVE = 100
"""Keys of one person in one organization that are neither revoked nor expired."""


@repeated
def make_key(
    *, actor: Actor, name: str, role: Role | None = None, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """Makes a key that acts for the actor: the row, and the token, which is shown only now.

    Only a person makes one: a key that was stolen could otherwise outlive its own end. Raises
    Forbidden, also for a higher role than one's own, InvalidInput or TooMany.
    """
    actor.require_person()
    with transaction.atomic():
        now = as_now(actor)
        now.require("create", "keys")
        if role is not None and role.rank > now.role.rank:
            detail = f"You are {now.role} here: a key of yours cannot be {role}."
            raise Forbidden(detail, errors=[FieldError("role", "forbidden", detail)])
        mine = ApiKey.objects.in_organization(now.organization).filter(user=now.user)
        if mine.live().count() >= MAX_LIVE:
            raise TooMany(f"You have {MAX_LIVE} keys here. Revoke some first.")
        key, token = create_api_key(
            organization=now.organization,
            user=now.user,
            name=name,
            role=role or now.role,
            expires_at=expires_at,
        )
        _note(now, key, "key.create")
    return key, token


@transaction.atomic
def give_key(
    *,
    organization: Organization,
    user: User,
    name: str,
    role: Role | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """As `create_api_key`, for whoever works on the machine itself, and recorded."""
    key, token = create_api_key(
        organization=organization, user=user, name=name, role=role, expires_at=expires_at
    )
    _record(organization, None, key, "key.create")
    return key, token


@transaction.atomic
def revoke_key(*, actor: Actor, key: ApiKey) -> bool:
    """Makes `key`, of the actor's organization, useless from the next request on. False when it
    was before. Raises Forbidden."""
    actor.require("delete", "keys", created_by_id=key.user_id)
    if not revoke_api_key(key=key):
        return False
    _note(actor, key, "key.revoke")
    return True


def _note(actor: Actor, key: ApiKey, action: str) -> None:
    _record(actor.organization, actor.user, key, action)


def _record(organization: Organization, by: User | None, key: ApiKey, action: str) -> None:
    record(
        organization=organization,
        actor=by,
        actor_name=COMMAND_LINE,
        action=action,
        target="key",
        target_id=key.pk,
        detail={
            "name": key.name,
            "prefix": key.prefix,
            "role": str(key.role),
            "of": key.user.email,
            "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        },
    )
