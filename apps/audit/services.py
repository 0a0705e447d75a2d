"""Adds to the audit log."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import Exists, Model, OuterRef
from django.utils import timezone

from apps.audit.chain import canonical
from apps.audit.models import SYSTEM, AuditEntry, Chain, chain_of


# Without a savepoint: what could not be recorded must not have happened either.
@transaction.atomic(savepoint=False)
def record(
    *,
    organization: Model | None,
    actor: AbstractBaseUser | None,
    action: str,
    target: str = "",
    target_id: object = "",
    detail: Mapping[str, Any] | None = None,
    reason: str = "",
    actor_name: str = SYSTEM,
) -> AuditEntry:
    """Adds an entry to the log of `organization`, or to that of the system for None.

    It is there when the caller's transaction commits, and only then. Call it last in that
    transaction: until its end nobody else can add to the same log. Of two logs, the organization's
    comes first, so that nobody waits for each other.

    `action` is a code (`job.cancel`), `target` the kind of thing it was done to and `target_id`
    that thing's id. `actor_name` says who acts where `actor` is None. `detail` is whatever JSON
    can tell.

    What somebody put past the end with SQL is passed over: it stops nobody's work, and
    `verifying.verify` finds it.
    """
    name = chain_of(organization)
    chain, is_new = Chain.objects.locked().get_or_create(name=name)
    entry = AuditEntry(
        chain=chain,
        number=_free_number(chain) if is_new or chain.is_taken else chain.number + 1,
        at=timezone.now(),
        organization_id=organization.pk if organization else None,
        actor_id=actor.pk if actor else None,
        actor_name=actor.get_username() if actor else actor_name,
        action=action,
        target=target,
        target_id=str(target_id),
        detail=canonical(detail or {}),
        reason=reason,
        previous=chain.hash,
    )
    entry.hash = entry.digest()
    entry.save(force_insert=True)
    chain.number, chain.hash = entry.number, entry.hash
    chain.save(update_fields=["number", "hash"])
    return entry


def _free_number(chain: Chain) -> int:
    """The first number after the end of `chain` that no entry has."""
    after = AuditEntry.objects.filter(chain=OuterRef("chain"), number=OuterRef("number") + 1)
    taken = AuditEntry.objects.filter(chain=chain, number__gt=chain.number).order_by("number")
    if not taken.filter(number=chain.number + 1).exists():
        return chain.number + 1
    last = taken.exclude(Exists(after)).values_list("number", flat=True)[0]
    return int(last) + 1
