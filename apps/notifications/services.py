"""Telling people, and what they do about it."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.accounts.models import Membership, User
from apps.accounts.roles import Action, Resource, Role, allows
from apps.core.events import tell
from apps.core.metrics import on_commit
from apps.notifications.kinds import KINDS
from apps.notifications.metrics import TOLD
from apps.notifications.models import Notification, Preferences
from apps.notifications.preferences import Choice, Mail, choice_of, due_at

TOGETHER = 500
"""Rows that one statement writes."""
CHANGED = (
    *("organization", "kind", "facts", "told_at", "read_at", "is_shown"),
    *("mail_due_at", "mail", "mailed_at", "request_id"),
)
"""What a later state of the same thing sets."""
NOTIFIED = "notified"
"""The event of which webhooks are told, once for all `users` who want theirs sent there."""


def notify(
    *,
    kind: str,
    key: str,
    organization_id: UUID,
    users: Collection[int] = (),
    roles: Collection[Role] = (),
    but_not: int | None = None,
    facts: Mapping[str, Any],
) -> int:
    """Tells `users`, and whoever has one of `roles`, that something happened in the organization,
    but not who did it; how many were told. Whoever is no member of it, or wants to know nothing of
    the kind, is not.

    Of the same `key`, somebody who was told of it before is told the new state, and only if it is
    one. In the caller's transaction, which orders those who tell of the same thing: by the lock on
    its row. Nobody is told anything while ENABLE_NOTIFICATIONS is off.
    """
    if not settings.ENABLE_NOTIFICATIONS:
        return 0
    wanted = _wanted(kind, organization_id, users, roles)
    if but_not is not None:
        wanted.pop(but_not, None)
    listeners = [
        Listener(user_id, organization_id, choice) for user_id, choice in sorted(wanted.items())
    ]
    return write(kind=kind, key=key, facts=facts, listeners=listeners)


@dataclass(frozen=True)
class Listener:
    """Who is told, as of which organization, and how they want it."""

    user_id: int
    organization_id: UUID
    choice: Choice


def write(*, kind: str, key: str, facts: Mapping[str, Any], listeners: Collection[Listener]) -> int:
    """Tells `listeners`, each once and by their ids in order, what is news to them, unless they
    want nothing of the kind; how many that were. In the caller's transaction, if any."""
    listeners = [each for each in listeners if not each.choice.is_nothing]
    ids = [each.user_id for each in listeners]
    before = Notification.objects.filter(key=key, user__in=ids)
    known: dict[int, Any] = dict(before.values_list("user_id", "facts"))
    new = [each for each in listeners if known.get(each.user_id) != facts]
    now = timezone.now()
    Notification.objects.bulk_create(
        [
            Notification(
                user_id=each.user_id,
                organization_id=each.organization_id,
                kind=kind,
                key=key,
                facts=dict(facts),
                told_at=now,
                created_at=now,
                read_at=None if each.choice.in_app else now,
                is_shown=each.choice.in_app,
                mail_due_at=due_at(each.choice.mail, now),
            )
            for each in new
        ],
        batch_size=TOGETHER,
        update_conflicts=True,
        unique_fields=["key", "user"],
        update_fields=CHANGED,
    )
    on_commit(TOLD, kind, count=len(new))
    _tell_webhooks(kind, key, facts, [each for each in new if each.choice.webhook])
    return len(new)


def _tell_webhooks(
    kind: str, key: str, facts: Mapping[str, Any], hooked: Collection[Listener]
) -> None:
    by_organization: dict[UUID, list[int]] = {}
    for each in hooked:
        by_organization.setdefault(each.organization_id, []).append(each.user_id)
    for organization_id, users in by_organization.items():
        told = {"kind": kind, "key": key, "facts": dict(facts), "users": users}
        tell(NOTIFIED, organization_id=organization_id, **told)


def has_webhooks() -> bool:
    """Whether anything sends notifications on to webhooks."""
    return bool(settings.LISTENERS.get(NOTIFIED)) and bool(settings.ENABLE_WEBHOOKS)


def _wanted(
    kind: str, organization_id: UUID, users: Collection[int], roles: Collection[Role]
) -> dict[int, Choice]:
    """Those to tell, and how; one query."""
    assert kind in KINDS, kind
    members = Membership.objects.filter(
        Q(user__in=users) | Q(role__in=roles), organization=organization_id, user__is_active=True
    )
    chosen = members.values_list("user_id", "user__notification_preferences__choices")
    return {user_id: choice_of(choices, kind) for user_id, choices in chosen}


def roles_that_may(action: Action, resource: Resource) -> list[Role]:
    """Whose right reaches everything, not only what is their own."""
    return [role for role in Role if allows(role, action, resource, is_owner=False)]


def revise(key: str, changes: Mapping[str, Any]) -> None:
    """What was told under `key` has changed in a way that needs nobody: it is right from now on,
    counts as read, and is mailed no more. In the caller's transaction."""
    rows = Notification.objects.select_for_update().filter(key=key).order_by("user_id")
    stale = [row for row in rows if {**row.facts, **changes} != row.facts]
    for row in stale:
        row.facts |= changes
        row.read_at = row.read_at or timezone.now()
        row.mail_due_at = row.mail = None
    Notification.objects.bulk_update(
        stale, ["facts", "read_at", "mail_due_at", "mail"], batch_size=TOGETHER
    )


def forget(keys: Collection[str]) -> None:
    """What these were about is gone. In the caller's transaction."""
    Notification.objects.filter(key__in=keys).delete()


def mark(rows: QuerySet[Notification], *, read: bool) -> int:
    """Marks those of `rows` that are not so already as read or unread; how many."""
    if read:
        return rows.filter(read_at=None).update(read_at=timezone.now())
    return rows.exclude(read_at=None).update(read_at=None)


def mark_all_read(rows: QuerySet[Notification], *, until: datetime | None = None) -> int:
    """Marks `rows` as read, but for those that came after `until`, when they were looked at."""
    return mark(rows.filter(told_at__lte=until) if until else rows, read=True)


@transaction.atomic
def change_choices(*, user: User, changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Choice]:
    """Sets those fields of the choices of those kinds; what `user` wants of all afterwards. What
    was told before and is not mailed any more is let go of."""
    Preferences.objects.get_or_create(user=user)
    kept = Preferences.objects.select_for_update().get(user=user)
    for kind, change in changes.items():
        choice = replace(choice_of(kept.choices, kind), **change)
        kept.choices[kind] = asdict(choice) | {"mail": str(choice.mail)}
        if choice.mail == Mail.NEVER:
            waiting = Notification.objects.filter(user=user, kind=kind)
            waiting.filter(mail_due_at__isnull=False).update(mail_due_at=None)
    kept.save(update_fields=["choices"])
    return choices_of(user)


def set_choices(*, user: User, choices: Mapping[str, Choice]) -> dict[str, Choice]:
    """Keeps what `user` wants of those kinds; what they want of all kinds afterwards."""
    changes = {kind: asdict(choice) for kind, choice in choices.items()}
    return change_choices(user=user, changes=changes)


def choices_of(user: User) -> dict[str, Choice]:
    """What `user` wants, by kind, in the order of KINDS."""
    chosen = Preferences.objects.filter(user=user).values_list("choices", flat=True).first()
    return {kind: choice_of(chosen, kind) for kind in KINDS}
