from collections.abc import Callable, Iterator

import pytest
import redis
from pytest_django import Settings

from apps.jobs.models import BatchFile
from apps.queue import drain, worker
from apps.queue.handlers import Control, Output
from tests.batches import Scripted, read_all
from tests.servers import Valkey

Script = Callable[[Scripted, BatchFile, Control], Output]


@pytest.fixture(autouse=True)
def _fresh_process_state() -> Iterator[None]:
    """What the engine keeps in the process, as after a start."""
    drain.reset()
    yield
    drain.reset()
    worker.close_slot()


@pytest.fixture
def script(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[Script], None]:
    """The queue's handler is `Scripted`; call it to say what a run does. At first it reads all."""
    settings.QUEUE_HANDLERS = ["tests.batches.Scripted"]

    def become(new: Script) -> None:
        monkeypatch.setattr(Scripted, "script", new, raising=False)

    become(read_all)
    return become


@pytest.fixture
def bell(valkey: Valkey) -> Iterator[Callable[[str], int]]:
    """How many doorbells wait in a lane's list at the broker."""
    client = redis.Redis.from_url(valkey.url)
    yield lambda lane: int(client.llen(f"docmill:{lane}"))
    client.close()
