"""Whose messages go when: one receiver that answers late must not keep others waiting."""

import uuid
from uuid import UUID

import pytest

from apps.accounts.models import Organization, User
from apps.queue.claim import claim
from apps.queue.lanes import set_limits
from apps.webhooks.events import USUAL
from apps.webhooks.outbox import publish
from apps.webhooks.services import add_endpoint
from tests.batches import owner_of

pytestmark = pytest.mark.django_db(transaction=True)


def tell(organization: Organization, count: int) -> None:
    owner = owner_of(organization)
    add_endpoint(actor=owner, url="https://example.com/hook", events=list(USUAL))
    for number in range(count):
        publish(organization=organization, event=USUAL[0], key=str(number), data={})


def begun() -> UUID | None:
    """Whose message is the next to be sent; it does not end."""
    claimed = claim("email", uuid.uuid4())
    return claimed[1].organization_id if claimed else None


def test_one_message_of_an_organization_is_under_way_at_a_time(
    acme: Organization, other: Organization
) -> None:
    tell(acme, 3)
    tell(other, 2)
    assert [begun() for _ in range(3)] == [acme.pk, other.pk, None]


def test_organizations_take_turns(acme: Organization, other: Organization, alice: User) -> None:
    set_limits(by=alice, lane="email", max_running=None, max_running_per_organization=5)
    tell(acme, 3)
    tell(other, 1)
    assert [begun() for _ in range(5)] == [acme.pk, other.pk, acme.pk, acme.pk, None]
