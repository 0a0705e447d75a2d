"""Roles are given and taken, and people leave: what passes on, and that an owner stays."""

import json
from itertools import product
from pathlib import Path

import pytest

from apps.accounts.errors import Forbidden, LastOwner, PersonalOrganization
from apps.accounts.models import ApiKey, Invitation, Membership, Organization, User
from apps.accounts.roles import Role, may_give
from apps.accounts.services import (
    add_member,
    change_role,
    create_api_key,
    invite,
    leave,
    remove_member,
)
from apps.accounts.services.passing import made_by_people
from apps.audit.models import AuditEntry
from apps.core.errors import DocmillError, NotFound
from apps.jobs.models import BatchJob
from apps.jobs.services import delete_job
from tests.accounts.people import actor_of, join, membership_of, roles_in
from tests.batches import submit, together
from tests.jobs.conftest import data_dir
from tests.jobs.runs import read_next

__all__ = ["data_dir"]

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("giver", list(Role))
def test_who_gives_which_role(acme: Organization, giver: Role) -> None:
    actor, other = join(acme, "gil", giver), join(acme, "ola", Role.READER)
    members = Membership.objects.filter(user=other.user, organization=acme)
    for before, after in product(Role, Role):
        members.update(role=before)
        if may_give(giver, before) and may_give(giver, after):
            changed = change_role(actor=actor, membership=members.get(), role=after)
            assert changed.role == members.get().role == after
        else:
            with pytest.raises(Forbidden):
                change_role(actor=actor, membership=members.get(), role=after)
            assert members.get().role == before
    told = [
        (entry.actor_id, json.loads(entry.detail)["before"], json.loads(entry.detail)["role"])
        for entry in AuditEntry.objects.filter(action="member.role").order_by("number")
    ]
    assert told == [
        (actor.user.pk, before, after)
        for before, after in product(Role, Role)
        if before != after and may_give(giver, before) and may_give(giver, after)
    ]


@pytest.mark.parametrize("remover", list(Role))
def test_who_takes_whom_out(acme: Organization, remover: Role) -> None:
    actor = join(acme, "gil", remover)
    for removed in Role:
        other = join(acme, f"ola-{removed}", removed)
        member = membership_of(acme, other.user)
        if may_give(remover, removed):
            remove_member(actor=actor, membership=member)
        else:
            with pytest.raises(Forbidden):
                remove_member(actor=actor, membership=member)
        assert (other.user.email in roles_in(acme)) != may_give(remover, removed)


def test_the_only_owner_stays_one(acme: Organization, alice: User, bob: User) -> None:
    actor, own = actor_of(acme, alice), membership_of(acme, alice)
    for attempt in (
        lambda: change_role(actor=actor, membership=own, role=Role.ADMIN),
        lambda: remove_member(actor=actor, membership=own),
        lambda: leave(actor=actor),
    ):
        with pytest.raises(LastOwner):
            attempt()
    assert roles_in(acme)["alice@example.com"] == Role.OWNER
    change_role(actor=actor, membership=membership_of(acme, bob), role=Role.OWNER)
    leave(actor=actor)
    assert roles_in(acme) == {"bob@example.com": Role.OWNER}


def test_nobody_else_comes_into_or_out_of_a_personal_organization(alice: User) -> None:
    personal = alice.personal_organization
    actor = actor_of(personal, alice)
    with pytest.raises(PersonalOrganization):
        leave(actor=actor)
    with pytest.raises(PersonalOrganization):
        change_role(actor=actor, membership=membership_of(personal, alice), role=Role.READER)
    with pytest.raises(PersonalOrganization):
        invite(actor=actor, email="new@example.com", role=Role.READER)


def test_what_somebody_made_passes_to_the_owner_who_joined_first(
    acme: Organization, alice: User, data_dir: Path
) -> None:
    job = submit(acme, "text")
    cora = join(acme, "cora", Role.OWNER)
    BatchJob.objects.filter(pk=job.pk).update(created_by=cora.user)
    elsewhere = BatchJob.objects.create(
        organization=cora.user.personal_organization, created_by=cora.user, total=1
    )
    later = join(acme, "lou", Role.OWNER)
    key, _ = create_api_key(organization=acme, user=cora.user, name="ci")
    own = create_api_key(organization=cora.user.personal_organization, user=cora.user, name="own")
    invite(actor=cora, email="new@example.com", role=Role.READER)
    leave(actor=cora)

    job.refresh_from_db()
    elsewhere.refresh_from_db()
    key.refresh_from_db()
    own[0].refresh_from_db()
    assert (job.created_by, elsewhere.created_by) == (alice, cora.user)
    assert (key.revoked_at is None, own[0].revoked_at) == (False, None)
    assert not Invitation.objects.exists()
    entry = AuditEntry.objects.get(action="member.leave")
    told = json.loads(entry.detail)
    assert (told["passed"], told["passed_to"]) == ({"batch jobs": 1}, "alice@example.com")
    assert (told["keys"], told["withdrawn"]) == (1, ["new@example.com"])
    # An old key does not begin to work again with a new invitation.
    add_member(organization=acme, user=cora.user, role=Role.READER)
    assert not ApiKey.objects.live().filter(organization=acme).exists()
    # The heir may do with it what they may with their own.
    read_next()
    change_role(actor=later, membership=membership_of(acme, alice), role=Role.CONTRIBUTOR)
    delete_job(actor=actor_of(acme, alice), job=job)


def test_every_table_of_what_people_make_passes_on() -> None:
    assert BatchJob in set(made_by_people())


def test_who_is_lowered_takes_back_what_they_may_not_give_any_more(
    acme: Organization, alice: User
) -> None:
    owner = join(acme, "cora", Role.OWNER)
    for role in Role:
        invite(actor=owner, email=f"{role}@example.com", role=role)
    member = membership_of(acme, owner.user)
    change_role(actor=actor_of(acme, alice), membership=member, role=Role.ADMIN)
    assert Invitation.objects.count() == 3
    change_role(actor=actor_of(acme, alice), membership=member, role=Role.CONTRIBUTOR)
    assert not Invitation.objects.exists()


def test_a_role_that_was_taken_meanwhile_gives_nothing(acme: Organization, alice: User) -> None:
    admin, other = join(acme, "gil", Role.ADMIN), join(acme, "ola", Role.READER)
    change_role(
        actor=actor_of(acme, alice), membership=membership_of(acme, admin.user), role=Role.READER
    )
    with pytest.raises(Forbidden):
        change_role(actor=admin, membership=membership_of(acme, other.user), role=Role.ADMIN)
    remove_member(actor=actor_of(acme, alice), membership=membership_of(acme, admin.user))
    with pytest.raises(Forbidden):
        leave(actor=admin)


def test_members_of_others_are_not_there(
    acme: Organization, alice: User, charlie: User, other: Organization
) -> None:
    foreign = membership_of(other, charlie)
    with pytest.raises(NotFound):
        change_role(actor=actor_of(acme, alice), membership=foreign, role=Role.READER)
    with pytest.raises(NotFound):
        remove_member(actor=actor_of(acme, alice), membership=foreign)


@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_leave_at_the_same_moment_one_stays(
    acme: Organization, alice: User
) -> None:
    for number in range(3):
        other = join(acme, f"owner{number}", Role.OWNER)
        first = actor_of(acme, User.objects.get(memberships__organization=acme, pk=_elder(acme)))

        def going(actor: object) -> object:
            try:
                return leave(actor=actor)  # type: ignore[arg-type]  # an Actor
            except DocmillError as refused:
                return refused

        results = together([lambda first=first: going(first), lambda other=other: going(other)])
        assert sorted(isinstance(each, LastOwner) for each in results) == [False, True]
        assert list(roles_in(acme).values()) == [Role.OWNER]


def _elder(organization: Organization) -> int:
    members = Membership.objects.filter(organization=organization).order_by("pk")
    return int(members.values_list("user_id", flat=True)[0])


@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_lower_each_other_at_the_same_moment_one_stays(
    acme: Organization, alice: User
) -> None:
    first, second = actor_of(acme, alice), join(acme, "cora", Role.OWNER)
    of_first, of_second = membership_of(acme, alice), membership_of(acme, second.user)

    def lowering(actor: object, member: Membership) -> object:
        try:
            return change_role(actor=actor, membership=member, role=Role.READER)  # type: ignore[arg-type]  # an Actor
        except DocmillError as refused:
            return refused

    results = together([lambda: lowering(first, of_second), lambda: lowering(second, of_first)])
    assert sorted(isinstance(each, DocmillError) for each in results) == [False, True]
    assert sorted(roles_in(acme).values()) == [Role.OWNER, Role.READER]
