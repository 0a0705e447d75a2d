"""Real workers, killed while they send, and the receiver of docs/webhooks.md."""

import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from apps.accounts.actor import Actor
from apps.accounts.models import Organization
from apps.webhooks.events import USUAL
from apps.webhooks.models import Delivery, Endpoint, Try
from apps.webhooks.outbox import send_test
from apps.webhooks.services import add_endpoint, secrets_of
from tests.batches import submit
from tests.jobs.runs import read_next
from tests.processes import Process, eventually, launch
from tests.servers import Valkey
from tests.webhooks.conftest import Work
from tests.webhooks.messages import verified
from tests.webhooks.receiver import Receiver

Manage = Callable[..., Process]

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = Path(__file__).resolve().parents[2] / "docs/webhooks.md"
ENV = {
    "LEASE_SECONDS": "2",
    "LEASE_RENEW_SECONDS": "0.5",
    "SWEEP_SECONDS": "0.5",
    "WEBHOOK_TIMEOUT_SECONDS": "4",
    "WEBHOOK_RETRY_SECONDS": "0.2,0.2,0.2,0.2,0.2",
    "OUTGOING_ALLOWED_NETWORKS": "127.0.0.0/8",
}
WORK = ("work", "--lanes", "email", "--slots", "2", "--loop")


def test_a_worker_that_is_killed_while_it_sends_loses_nothing(
    acme: Organization,
    owner: Actor,
    endpoint: Endpoint,
    receiver: Receiver,
    manage: Manage,
    valkey: Valkey,
) -> None:
    valkey.kill()  # nobody rings
    is_asked, may_answer = threading.Event(), threading.Event()

    def hang(_: Any) -> None:
        is_asked.set()
        may_answer.wait(30)

    receiver.answers = [500, hang, 503, 500]
    worker = manage(*WORK, env=ENV)
    submit(acme, "text")
    read_next()
    assert is_asked.wait(30)
    worker.kill()
    may_answer.set()
    assert Delivery.objects.get().state == "pending"

    manage(*WORK, env=ENV)
    eventually(lambda: Delivery.objects.get().state == "delivered")
    delivery = Delivery.objects.get()
    assert [sent.id for sent in receiver.sent] == [str(delivery.event_id)] * 5
    # What was being sent when the worker died is not in the log; everything else is.
    statuses = Try.objects.order_by("number").values_list("status", flat=True)
    assert list(statuses) == [500, 503, 500, 204]
    for sent in receiver.sent:
        assert verified(sent, secrets_of(endpoint)[0])["type"] == "batch_job.succeeded"
    endpoint.refresh_from_db()
    assert endpoint.failed_in_row == 0


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.once
def test_the_receiver_of_the_documentation(
    owner: Actor, receiver: Receiver, work: Work, tmp_path: Path, port: int
) -> None:
    [example] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    script, log = tmp_path / "receiver.py", tmp_path / "receiver.log"
    script.write_text(example)
    url = f"http://127.0.0.1:{port}/hook"
    endpoint, secret = add_endpoint(actor=owner, url=url, events=list(USUAL))
    env: Mapping[str, str] = {**os.environ, "WEBHOOK_SECRET": secret, "PORT": str(port)}
    running = launch([sys.executable, script], log=log, env=env)
    try:
        eventually(lambda: _is_there(port))
        for _ in range(2):
            send_test(actor=owner, endpoint=endpoint)
        work()
        first, second = Delivery.objects.order_by("pk")
        assert (first.state, second.state) == ("delivered", "delivered")
        told = [line for line in log.read_text().splitlines() if line.startswith("webhook.test")]
        assert told == [f"webhook.test {endpoint.pk}"] * 2
        endpoint.sealed_secret = add_endpoint(actor=owner, url=url, events=[])[0].sealed_secret
        endpoint.save()
        send_test(actor=owner, endpoint=endpoint)
        work()
        assert Delivery.objects.latest("pk").status == 401  # not the receiver's secret
    finally:
        running.kill()
        running.wait()


def _is_there(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0
