from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from apps.accounts.actor import Actor
from apps.accounts.models import Organization
from apps.queue.loop import work_once
from apps.queue.models import WorkItem, in_seconds
from apps.webhooks.events import USUAL
from apps.webhooks.models import Endpoint
from apps.webhooks.services import add_endpoint
from tests.batches import owner_of
from tests.jobs.conftest import data_dir
from tests.webhooks.receiver import Receiver, receiving

__all__ = ["data_dir"]

Work = Callable[[], None]


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    """On this machine, to which things may be sent."""
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    settings.WEBHOOK_TIMEOUT_SECONDS = 5.0
    with receiving() as started:
        yield started


@pytest.fixture
def owner(acme: Organization) -> Actor:
    return owner_of(acme)


@pytest.fixture
def endpoint(owner: Actor, receiver: Receiver) -> Endpoint:
    made, _ = add_endpoint(actor=owner, url=receiver.url, events=list(USUAL), name="Books")
    return made


@pytest.fixture
def work() -> Work:
    """Sends what is in line, as if all had waited long enough for its next try."""

    def run() -> None:
        WorkItem.objects.filter(state="retry_wait").update(available_at=in_seconds(-1))
        Endpoint.objects.exclude(rests_until=None).update(rests_until=in_seconds(-1))
        work_once(["email"])

    return run
