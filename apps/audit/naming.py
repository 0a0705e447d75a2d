"""Which log somebody means who types a name."""

import uuid

from django.db.models import Model, QuerySet

from apps.audit.models import SYSTEM, AuditEntry


class NoSuchLog(LookupError):
    """Nobody has it, or several have."""


def chain_named(text: str) -> str:
    """The log of the organization with the id or the name `text`, that of a deleted one too; or
    `system`. Raises NoSuchLog."""
    if text == SYSTEM:
        return SYSTEM
    try:
        return str(uuid.UUID(text))
    except ValueError:
        pass
    found = list(_organizations().filter(name=text).values_list("pk", flat=True)[:2])
    if len(found) == 1:
        return str(found[0])
    several = f'Several organizations are called "{text}".' if found else ""
    told = several or f'There is no organization called "{text}".'
    raise NoSuchLog(f"{told} Give its id, or {SYSTEM} for what is of none.")


def names_of(chains: list[str]) -> dict[str, str]:
    """What organizations are called whose logs these are; deleted ones are not among them."""
    ids = [uuid.UUID(each) for each in chains if each != SYSTEM and _is_id(each)]
    return {
        str(pk): name for pk, name in _organizations().filter(pk__in=ids).values_list("pk", "name")
    }


def _organizations() -> QuerySet[Model]:
    # By way of the key: accounts stand above this app.
    model = AuditEntry._meta.get_field("organization").related_model
    return model._default_manager.all()


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
