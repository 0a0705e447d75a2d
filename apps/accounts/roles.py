"""Roles and what each may do: the one table of permissions.

Pure: no Django. Resources and actions are names; a misspelt one raises KeyError.
"""

from enum import StrEnum
from typing import Literal


class Role(StrEnum):
    """A person's standing in one organization, highest first."""

    OWNER = "owner"
    ADMIN = "admin"
    CONTRIBUTOR = "contributor"
    READER = "reader"

    @property
    def rank(self) -> int:
        """Higher may more: 3 for an owner down to 0 for a reader."""
        return len(_COLUMNS) - 1 - _COLUMNS.index(self)


_COLUMNS = tuple(Role)

Action = Literal["create", "read", "update", "delete", "share"]
Resource = Literal[
    "organization",
    "members",
    "jobs",
    "documents",
    "conversations",
    "recordings",
    "shares",
    "exports",
    "keys",
    "webhooks",
    "audit",
]
Reach = Literal["any", "own", ""]

# "own": what the person made, or the key that acts for them. "": not at all.
#
# An organization is made outside of any, so nobody creates one inside another. Making a thing is
# never limited to one's own, since it does not exist yet. `members` is the list of members: who
# may give or take which role is `may_give`. What is somebody's own passes on when they leave: see
# `services.passing`.
TABLE: dict[Resource, dict[Action, tuple[Reach, Reach, Reach, Reach]]] = {
    #            owner  admin  contributor  reader
    "organization": {
        "create": ("", "", "", ""),
        "read": ("any", "any", "any", "any"),
        "update": ("any", "any", "", ""),
        "delete": ("any", "", "", ""),
        "share": ("", "", "", ""),
    },
    "members": {
        "create": ("any", "any", "", ""),
        "read": ("any", "any", "any", "any"),
        "update": ("any", "any", "", ""),
        "delete": ("any", "any", "", ""),
        "share": ("", "", "", ""),
    },
    "jobs": {
        "create": ("any", "any", "any", ""),
        "read": ("any", "any", "any", "any"),
        "update": ("any", "any", "own", ""),
        "delete": ("any", "any", "own", ""),
        "share": ("any", "any", "own", ""),
    },
    "documents": {
        "create": ("any", "any", "any", ""),
        "read": ("any", "any", "any", "any"),
        "update": ("any", "any", "own", ""),
        "delete": ("any", "any", "own", ""),
        "share": ("any", "any", "own", ""),
    },
    "conversations": {
        "create": ("any", "any", "any", ""),
        "read": ("any", "any", "any", "any"),
        "update": ("any", "any", "own", ""),
        "delete": ("any", "any", "own", ""),
        "share": ("any", "any", "own", ""),
    },
    "recordings": {
        "create": ("any", "any", "any", ""),
        "read": ("any", "any", "any", "any"),
        "update": ("any", "any", "own", ""),
        "delete": ("any", "any", "own", ""),
        "share": ("any", "any", "own", ""),
    },
    "shares": {
        "create": ("any", "any", "any", ""),
        "read": ("any", "any", "any", "any"),
        "update": ("any", "any", "own", ""),
        "delete": ("any", "any", "own", ""),
        "share": ("", "", "", ""),
    },
    "exports": {
        "create": ("any", "any", "any", ""),
        "read": ("any", "any", "any", "any"),
        "update": ("any", "any", "own", ""),
        "delete": ("any", "any", "own", ""),
        "share": ("any", "any", "own", ""),
    },
    "keys": {
        "create": ("any", "any", "any", ""),
        "read": ("any", "any", "own", "own"),
        "update": ("any", "any", "own", ""),
        # Readers too: who became one may still have a key that got into wrong hands.
        "delete": ("any", "any", "own", "own"),
        "share": ("", "", "", ""),
    },
    # Their addresses may hold passwords of other systems.
    "webhooks": {
        "create": ("any", "any", "", ""),
        "read": ("any", "any", "own", "own"),
        "update": ("any", "any", "", ""),
        "delete": ("any", "any", "", ""),
        "share": ("", "", "", ""),
    },
    "audit": {
        "create": ("", "", "", ""),
        "read": ("any", "any", "own", "own"),
        "update": ("", "", "", ""),
        "delete": ("", "", "", ""),
        "share": ("", "", "", ""),
    },
}

_MAY_GIVE: dict[Role, frozenset[Role]] = {
    Role.OWNER: frozenset(Role),
    Role.ADMIN: frozenset({Role.ADMIN, Role.CONTRIBUTOR, Role.READER}),
    Role.CONTRIBUTOR: frozenset(),
    Role.READER: frozenset(),
}


def allows(role: Role, action: Action, resource: Resource, *, is_owner: bool) -> bool:
    """Whether `role` may do `action` to a `resource`.

    `is_owner` says whether the one who asks made the thing; it has nothing to do with Role.OWNER.
    """
    reach = TABLE[resource][action][_COLUMNS.index(role)]
    return reach == "any" or (reach == "own" and is_owner)


def may_give(giver: Role, role: Role) -> bool:
    """Whether `giver` may make somebody a `role`.

    Changing a role from one to another needs both: an admin can neither make an owner nor unmake
    one.
    """
    return role in _MAY_GIVE[giver]


def given_by(giver: Role) -> list[Role]:
    """The roles that `giver` may make somebody, highest first."""
    return [role for role in Role if may_give(giver, role)]


def up_to(role: Role) -> list[Role]:
    """The roles that may no more than `role`, highest first."""
    return [each for each in Role if each.rank <= role.rank]


def lower_of(a: Role, b: Role) -> Role:
    """The one of two roles that may less."""
    return min(a, b, key=lambda role: role.rank)
