"""Submissions over HTTP while the broker is away, and to a server that is killed before it rang."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from apps.accounts.models import User
from apps.accounts.services import create_api_key
from apps.jobs.models import BatchJob
from tests.faults.points import REACHED
from tests.faults.stage import SETTINGS, WORK, Stage
from tests.jobs.forms import UPLOAD, body_of, part
from tests.jobs.serving import Web, told
from tests.processes import eventually
from tests.queue.test_processes import node_of

pytestmark = pytest.mark.django_db(transaction=True)

BATCHES = 20
ANSWER_SECONDS = 6.0


class HeldWeb(Web):
    application = "tests.faults.asgi:application"


@pytest.fixture
def serve(stage: Stage) -> Iterator[Callable[..., Web]]:
    """Starts web servers on the stage; Alice's key is shown to them."""
    started: list[Web] = []
    alice = User.objects.get(email="alice@example.com")
    _, key = create_api_key(organization=stage.organization, user=alice, name="web")

    def start(kind: type[Web] = Web, **env: str) -> Web:
        log = stage.folder / f"web-{len(started)}.log"
        web = kind(log=log, data_dir=stage.folder / "data", env=SETTINGS | env)
        web.key = key
        started.append(web)
        return web.wait_until_ready()

    yield start
    for web in started:
        web.close()


def test_twenty_batches_while_the_broker_is_away(stage: Stage, serve: Callable[..., Web]) -> None:
    """Each is acknowledged soon, and all are done before the broker is back."""
    worker = stage.start(*WORK, "--slots", "2")
    worker.wait_for(lambda: node_of(worker))
    web = serve()
    stage.valkey.kill()
    waits = []
    for number in range(BATCHES):
        asked = time.monotonic()
        status, _, answer = web.submit(part(b"0 %d" % number))
        waits.append(time.monotonic() - asked)
        assert status == 202, answer
    assert max(waits) < ANSWER_SECONDS
    eventually(lambda: not BatchJob.objects.open().exists(), seconds=60)
    web.assert_no_trouble()
    stage.end()
    stage.check(jobs=BATCHES)


def test_a_server_killed_before_it_rang_has_kept_the_job(
    stage: Stage, serve: Callable[..., Web]
) -> None:
    """The sender heard nothing and asks again with the same key: it gets the job that was made."""
    stage.arm()
    env = {"FAULT_POINT": "after_commit", "FAULT_FOLDER": str(stage.folder)}
    web = serve(HeldWeb, **env)
    body = body_of([part(b"0.1 a")])
    headers = {**web.headers(len(body)), "Idempotency-Key": "once"}
    with closing(web.connect()) as connection:
        connection.request("POST", UPLOAD, body, headers)
        eventually((stage.folder / REACHED).exists)
        web.kill_all()
        with pytest.raises(OSError):  # noqa: PT011  closed in the one or the other way
            connection.getresponse()
    job = BatchJob.objects.get()
    stage.start_rescuer()
    stage.wait_until_closed(job)

    with closing(serve().connect()) as connection:
        connection.request("POST", UPLOAD, body, headers)
        status, _, answer = told(connection.getresponse())
    assert (status, json.loads(answer)["id"]) == (202, str(job.pk))
    stage.end()
    stage.check(jobs=1)
