"""API keys as people make and revoke them."""

import pytest

from apps.accounts.actor import Actor
from apps.accounts.errors import Forbidden, TooMany
from apps.accounts.models import ApiKey, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import create_api_key, keys, make_key, revoke_key
from apps.audit.models import AuditEntry
from tests.accounts.people import actor_of, join

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("role", list(Role))
def test_a_key_is_at_most_what_its_maker_is(acme: Organization, role: Role) -> None:
    actor = join(acme, "cora", role)
    if role == Role.READER:
        with pytest.raises(Forbidden):
            make_key(actor=actor, name="ci")
        return
    for asked in Role:
        if asked.rank > role.rank:
            with pytest.raises(Forbidden):
                make_key(actor=actor, name="ci", role=asked)
        else:
            assert make_key(actor=actor, name="ci", role=asked)[0].role == asked
    assert make_key(actor=actor, name="ci")[0].role == role


def test_making_and_revoking_is_in_the_log_without_the_token(
    acme: Organization, alice: User
) -> None:
    actor = actor_of(acme, alice)
    key, token = make_key(actor=actor, name="ci", role=Role.READER)
    assert revoke_key(actor=actor, key=key)
    assert not revoke_key(actor=actor, key=ApiKey.objects.select_related("user").get())
    entries = list(AuditEntry.objects.filter(organization=acme).order_by("number"))
    assert [(each.action, each.target_id) for each in entries] == [
        ("key.create", str(key.pk)),
        ("key.revoke", str(key.pk)),
    ]
    assert not [each for each in entries if token in each.detail]


def test_a_key_makes_no_other(acme: Organization, alice: User) -> None:
    key, _ = create_api_key(organization=acme, user=alice, name="ci")
    with pytest.raises(Forbidden):
        make_key(actor=Actor.of_key(key, member_role=Role.OWNER), name="more")


def test_others_keys_are_for_admins_to_revoke(acme: Organization, alice: User) -> None:
    cora, admin = join(acme, "cora", Role.CONTRIBUTOR), join(acme, "gil", Role.ADMIN)
    theirs, _ = make_key(actor=actor_of(acme, alice), name="alice's")
    own, _ = make_key(actor=cora, name="own")
    with pytest.raises(Forbidden):
        revoke_key(actor=cora, key=theirs)
    assert revoke_key(actor=cora, key=own)
    assert revoke_key(actor=admin, key=theirs)


def test_they_are_bounded(acme: Organization, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MAX_LIVE", 1)
    actor = actor_of(acme, alice)
    key, _ = make_key(actor=actor, name="one")
    with pytest.raises(TooMany):
        make_key(actor=actor, name="two")
    revoke_key(actor=actor, key=key)
    make_key(actor=actor, name="two")
