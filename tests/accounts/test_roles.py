"""The table of permissions, written down a second time as the people who set it would read it."""

from itertools import product
from typing import get_args

import pytest

from apps.accounts.roles import TABLE, Action, Resource, Role, allows, lower_of, may_give

pytestmark = pytest.mark.once

ROLES = (Role.OWNER, Role.ADMIN, Role.CONTRIBUTOR, Role.READER)
EVERYTHING = list(product(get_args(Resource), get_args(Action)))

# Owner, admin, contributor, reader: (a)ny, (o)wn, (-) not at all.
EXPECTED = {
    #                create  read  update delete share
    "organization": "----    aaaa  aa--   a---   ----",
    "members":      "aa--    aaaa  aa--   aa--   ----",
    "jobs":         "aaa-    aaaa  aao-   aao-   aao-",
    "documents":    "aaa-    aaaa  aao-   aao-   aao-",
    "conversations":"aaa-    aaaa  aao-   aao-   aao-",
    "recordings":   "aaa-    aaaa  aao-   aao-   aao-",
    "shares":       "aaa-    aaaa  aao-   aao-   ----",
    "exports":      "aaa-    aaaa  aao-   aao-   aao-",
    "keys":         "aaa-    aaoo  aao-   aaoo   ----",
    "webhooks":     "aa--    aaoo  aa--   aa--   ----",
    "audit":        "----    aaoo  ----   ----   ----",
}  # fmt: skip


def test_every_cell_of_the_table() -> None:
    for resource, row in EXPECTED.items():
        for action, cells in zip(get_args(Action), row.split(), strict=True):
            for role, cell in zip(ROLES, cells, strict=True):
                case = (role, action, resource)
                assert allows(*case, is_owner=False) is (cell == "a"), case
                assert allows(*case, is_owner=True) is (cell in "ao"), case


def test_the_table_has_every_resource_and_action() -> None:
    assert set(TABLE) == set(get_args(Resource)) == set(EXPECTED)
    assert all(set(actions) == set(get_args(Action)) for actions in TABLE.values())


@pytest.mark.parametrize("is_owner", [True, False])
def test_a_higher_role_may_all_that_a_lower_one_may(is_owner: bool) -> None:
    for resource, action in EVERYTHING:
        granted = [allows(role, action, resource, is_owner=is_owner) for role in ROLES]
        assert granted == sorted(granted, reverse=True), (resource, action)


def test_readers_only_read_and_revoke_keys_of_their_own() -> None:
    for resource, action in EVERYTHING:
        may = action == "read" or (resource, action) == ("keys", "delete")
        assert allows(Role.READER, action, resource, is_owner=True) is may


def test_only_the_end_of_the_organization_is_kept_from_admins() -> None:
    kept = [
        (resource, action)
        for resource, action in EVERYTHING
        if allows(Role.OWNER, action, resource, is_owner=False)
        and not allows(Role.ADMIN, action, resource, is_owner=True)
    ]
    assert kept == [("organization", "delete")]


@pytest.mark.parametrize(
    ("giver", "given"),
    [
        (Role.OWNER, {Role.OWNER, Role.ADMIN, Role.CONTRIBUTOR, Role.READER}),
        (Role.ADMIN, {Role.ADMIN, Role.CONTRIBUTOR, Role.READER}),
        (Role.CONTRIBUTOR, set()),
        (Role.READER, set()),
    ],
)
def test_who_may_give_which_role(giver: Role, given: set[Role]) -> None:
    assert {role for role in Role if may_give(giver, role)} == given


def test_ranks_fall_from_owner_to_reader() -> None:
    assert [role.rank for role in ROLES] == [3, 2, 1, 0]


def test_the_lower_of_two_roles() -> None:
    for a, b in product(ROLES, ROLES):
        assert lower_of(a, b).rank == min(a.rank, b.rank)
    assert lower_of(Role.OWNER, Role.READER) is Role.READER


def test_a_misspelt_resource_is_no_permission() -> None:
    with pytest.raises(KeyError):
        allows(Role.OWNER, "read", "job", is_owner=True)  # type: ignore[arg-type]  # on purpose
