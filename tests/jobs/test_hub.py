"""What a hub hears of changes, and when it looks."""

import asyncio
import threading
from collections.abc import Iterable
from uuid import UUID, uuid4

import pytest
from django.db import InterfaceError, OperationalError

from apps.jobs.api.events import Pace, stream_of
from apps.jobs.events import Look, Watch
from apps.jobs.hub import Looker
from apps.jobs.news import News
from tests.jobs.listening import QuietHub

ORGANIZATION = UUID(int=7)
GONE = UUID(int=8)


@pytest.mark.once
def test_news_are_read_as_they_were_written() -> None:
    for news in (News(uuid4()), News(uuid4(), uuid4())):
        assert News.parse(str(news)) == news
    for text in ("", "x", f"{uuid4()} x"):
        with pytest.raises(ValueError, match="UUID"):
            News.parse(text)


@pytest.mark.once
def test_a_hub_is_woken_by_what_somebody_watches() -> None:
    hub, job_id, elsewhere = QuietHub(), uuid4(), uuid4()

    async def talk() -> None:
        watch = Watch(1, ORGANIZATION, job_id)
        hub.join(watch)
        hub.say(News(uuid4()))
        hub.say(News(uuid4(), ORGANIZATION))
        assert not hub._said
        hub.say(News(job_id))
        assert hub._said == {News(job_id)}
        hub.join(of_list := Watch(1, ORGANIZATION))
        hub.say(News(elsewhere))
        hub.say(News(uuid4(), uuid4()))
        hub.say(gone := News(uuid4(), ORGANIZATION))
        assert hub._said == {News(job_id), News(elsewhere), gone}
        hub.leave(of_list)
        hub.leave(watch)
        assert not hub._wanted
        assert hub._lists == 0

    asyncio.run(talk())


class Finding(Looker):
    """Finds the same for all who watch."""

    def look(self, watches: Iterable[Watch], said: Iterable[News]) -> list[tuple[Watch, Look]]:
        return [(watch, Look(gone=[GONE])) for watch in watches]


class Failing(Looker):
    """Its looks fail, each in another way; the last is said to have succeeded."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[Exception] = [InterfaceError("closed"), KeyError("a"), OperationalError()]
        self.said: list[set[News]] = []
        self.is_done = threading.Event()

    def look(self, watches: Iterable[Watch], said: Iterable[News]) -> list[tuple[Watch, Look]]:
        self.said.append(set(said))
        if self.errors:
            raise self.errors.pop(0)
        self.is_done.set()
        return []


@pytest.mark.once
def test_looks_that_fail_are_not_the_last_and_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.jobs.hub.TICK_SECONDS", 0.02)
    monkeypatch.setattr("apps.jobs.hub.GAP_SECONDS", 0.01)
    hub, looker, gone = QuietHub(), Failing(), News(uuid4(), ORGANIZATION)
    hub._looker = looker

    async def talk() -> None:
        watch = Watch(1, ORGANIZATION)
        hub.join(watch)
        hub.say(gone)
        threading.Thread(target=hub._look_again_and_again, daemon=True).start()
        assert await asyncio.to_thread(looker.is_done.wait, 5)
        hub.leave(watch)

    asyncio.run(talk())
    assert looker.said[:4] == [{gone}] * 4


@pytest.mark.once
def test_a_process_that_is_asked_to_end_ends_its_streams() -> None:
    hub = QuietHub()

    async def talk() -> None:
        watch = Watch(1, ORGANIZATION)
        stream = stream_of(watch, lambda: None, pace=Pace(60, 60, 60), hub=hub)
        await anext(stream)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        hub.close()
        with pytest.raises(StopAsyncIteration):
            await waiting
        late = stream_of(Watch(1, ORGANIZATION), lambda: None, pace=Pace(60, 60, 60), hub=hub)
        assert len([each async for each in late]) == 1

    asyncio.run(asyncio.wait_for(talk(), 10))


@pytest.mark.once
def test_a_loop_that_was_closed_keeps_no_other_from_being_told() -> None:
    hub = QuietHub()
    hub._looker = Finding()
    closed = [Watch(1, ORGANIZATION) for _ in range(5)]

    async def begin(watch: Watch) -> None:
        hub.join(watch)

    for each in closed:
        asyncio.run(begin(each))

    async def talk() -> bytes:
        watch = Watch(1, ORGANIZATION)
        hub.join(watch)
        hub.look()
        await asyncio.sleep(0)
        return watch.take()

    assert str(GONE).encode() in asyncio.run(talk())
