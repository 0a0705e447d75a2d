"""Finding whom a limit or a rule is for, by what a person types."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from apps.accounts.models import ApiKey, Organization, User
from apps.core.clients import IPV6_PREFIX, parse_address
from apps.core.errors import FieldError, InvalidInput
from apps.ratelimits.networks import parse_network
from apps.ratelimits.subjects import EVERYTHING, Kind, Subject

HELP = (
    "An e-mail address, an organization's id or whole name, a key's id or the start of its token "
    '(dm_...), or an address or network: "203.0.113.7", "203.0.113.0/24".'
)
ALL = "everything"
"""What is typed for the limits that count all requests together."""


@dataclass(frozen=True)
class Whom:
    """Whom it is about. `target` is what a rule for them has; empty for all together.

    `subjects` are what is counted of them, and `caller` whose rules hold for them, too. A network
    of several addresses has none: each of them is counted by itself.
    """

    name: str
    target: dict[str, Any]
    subjects: Sequence[Subject] = ()
    caller: Sequence[Subject] = field(default=())

    def of(self, kind: Kind) -> Subject | None:
        return next((each for each in self.subjects if each.kind is kind), None)


def find(text: str) -> Whom:
    """Whom `text` names; see HELP. Raises InvalidInput with a sentence for who typed it."""
    text = text.strip()
    if not text.isprintable():  # PostgreSQL takes no NUL, and nothing here is called so
        raise _not_found(f"Nothing here is called {text!r}. {HELP}")
    if text == ALL:
        return Whom("all requests together", {}, [EVERYTHING])
    if "@" in text:
        return of_user(_one(User.objects.filter(email=User.objects.normalize_email(text)), text))
    if found := _number(text):
        return _of_id(found)
    if text.startswith("dm_"):
        return of_key(_one(_keys().filter(prefix=text[:11]), text))
    if parse_address(text.partition("/")[0]):
        return of_network(text)
    return of_organization(_one(Organization.objects.filter(name=text), text))


def of_user(user: User) -> Whom:
    """As they are in their own organization: in others those organizations' rules hold."""
    me = Subject.user(user.pk)
    personal = Organization.objects.filter(personal_of=user).first()
    theirs = [Subject.organization(personal.pk)] if personal else []
    return Whom(user.email, {"user": user}, [me, Subject.account(user.email)], [me, *theirs])


def of_organization(organization: Organization) -> Whom:
    subject = Subject.organization(organization.pk)
    name = f"organization {organization.name}"
    return Whom(name, {"organization": organization}, [subject], [subject])


def of_key(key: ApiKey) -> Whom:
    subject = Subject.api_key(key.pk)
    more = [Subject.user(key.user_id), Subject.organization(key.organization_id)]
    return Whom(f"key {key} of {key.user}", {"key": key}, [subject], [subject, *more])


def of_network(text: str) -> Whom:
    """Raises InvalidInput for what is no address and no network."""
    try:
        network = parse_network(text)
    except ValueError as error:
        raise _not_found(str(error)) from None
    is_one = network.prefixlen == (32 if network.version == 4 else IPV6_PREFIX)
    subjects = [Subject.address(text.partition("/")[0])] if is_one else []
    kind = "address" if is_one else "network"
    return Whom(f"{kind} {network}", {"network": str(network)}, subjects, subjects)


def _of_id(found: uuid.UUID) -> Whom:
    if organization := Organization.objects.filter(pk=found).first():
        return of_organization(organization)
    return of_key(_one(_keys().filter(pk=found), str(found)))


def _keys() -> QuerySet[ApiKey]:
    return ApiKey.objects.select_related("user", "organization")


def _one(rows: QuerySet[Any], text: str) -> Any:
    found = list(rows[:2])
    if not found:
        raise _not_found(f"Nothing here is called {text!r}. {HELP}")
    if len(found) > 1:
        raise _not_found(f"Several are called {text!r}: give the id of one.")
    return found[0]


def _number(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _not_found(told: str) -> InvalidInput:
    return InvalidInput(told, errors=[FieldError("target", "unknown", told)])
