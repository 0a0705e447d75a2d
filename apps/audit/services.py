"""Adds to the audit log, and proves that nothing else was done to it."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import Exists, Max, Min, Model, OuterRef
from django.utils import timezone

from apps.audit.chain import Flaw, Head, Link, Problem, canonical, first_flaw
from apps.audit.models import SYSTEM, AuditEntry, Chain, chain_of

CHUNK = 1000
"""Entries that are read at a time."""


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

    What somebody put past the end with SQL is passed over: it stops nobody's work, and `verify`
    finds it.
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


def verify(organization: Model | None) -> Flaw | None:
    """The first bad entry in the log of `organization` (None: of the system), or None.

    Reads all of it, a chunk at a time. Entries may be added meanwhile.
    """
    return _verify_chain(chain_of(organization))


def verify_all() -> Iterator[Flaw]:
    """The first bad entry of each log that has one, those of deleted organizations too."""
    # Entries whose chain was taken away count as well.
    names = Chain.objects.values_list("pk").union(AuditEntry.objects.values_list("chain_id"))
    for (name,) in names.order_by("pk").iterator(CHUNK):
        if flaw := _verify_chain(name):
            yield flaw


def _verify_chain(name: str) -> Flaw | None:
    head = _head(name)
    if flaw := first_flaw(name, _links(name, up_to=head.number), head):
        return flaw
    entries = AuditEntry.objects.filter(chain=name)
    newest = entries.aggregate(number=Max("number"))["number"] or 0
    counted = _head(name).number  # read after the entries, so whatever was added is counted in it
    if newest <= counted:
        return None
    uncounted = entries.filter(number__gt=counted).aggregate(number=Min("number"))["number"]
    return Flaw(name, uncounted, Problem.UNCOUNTED)


def _head(name: str) -> Head:
    chain = Chain.objects.filter(pk=name).first()
    return chain.head() if chain else Head()


def _links(name: str, *, up_to: int) -> Iterator[Link]:
    entries = AuditEntry.objects.filter(chain=name, number__lte=up_to).order_by("number")
    number = 0
    try:
        for entry in entries.iterator(CHUNK):
            link = entry.link()
            number = link.number
            yield link
    except (AttributeError, ValueError):
        # SQLite takes any text for a date or an id; Django cannot read such an entry back.
        yield Link(number + 1, {}, "", "")
