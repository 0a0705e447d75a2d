"""Which requests go where, how they look there, and what happens when too many wait."""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any

import pytest

from apps.core import split as splitting
from apps.core.metrics import REQUESTS
from apps.core.split import HELD_BYTES, LONG_ANSWER, STREAM_THREADS, Split

pytestmark = pytest.mark.once

Environ = dict[str, Any]
Header = tuple[bytes, bytes]


HERE = "127.0.0.1"


def scope_of(
    path: str, *, method: str = "GET", headers: Iterable[Header] = (), client: str = HERE
) -> Environ:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "query_string": b"q=\xc3\xa9&x=%20",
        "root_path": "",
        "headers": list(headers),
        "client": (client, 4000),
        "server": ("127.0.0.1", 8000),
    }


class Client:
    """One request to a Split, and what it was answered. `hang_up` is noticed by who listens. One
    that `stalls` never sends the last of `body`."""

    stalls = False

    def __init__(self, split: Split, scope: Environ, *body: bytes) -> None:
        self.answered: list[dict[str, Any]] = []
        self._split, self._scope = split, scope
        self._chunks = list(body) or [b""]
        self._is_gone = asyncio.Event()

    def hang_up(self) -> None:
        self._is_gone.set()

    async def ask(self) -> "Client":
        await self._split(self._scope, self._receive, self._send)
        return self

    async def _receive(self) -> dict[str, Any]:
        if self.stalls and len(self._chunks) == 1:
            await asyncio.Event().wait()
        if self._chunks:
            chunk = self._chunks.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(self._chunks)}
        await self._is_gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.answered.append(dict(message))

    @property
    def status(self) -> int:
        return int(self.answered[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.answered[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.answered[1:])


def echo(environ: Environ, start_response: Any) -> list[bytes]:
    try:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH", 0)))
    except OSError:  # as Django takes it
        start_response("400 Bad Request", [])
        return [b"cut"]
    start_response("200 OK", [("Content-Type", "application/json")])
    kept = {name: value for name, value in environ.items() if isinstance(value, str)}
    return [json.dumps({**kept, "body": body.decode()}).encode()]


async def stream(scope: Any, receive: Any, send: Any) -> None:
    heard = [await receive(), await receive()]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    told = repr([message["type"] for message in heard]) + heard[0]["body"].decode()
    await send({"type": "http.response.body", "body": told.encode()})


def split_of(pages: Any = echo, *, threads: int = 2, waiting: int = 2) -> Split:
    return Split(pages=pages, streams=stream, threads=threads, waiting=waiting)


def run(talk: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(talk, 10))


@pytest.mark.parametrize(
    ("method", "path", "is_stream"),
    [
        ("GET", "/api/batch/jobs/events", True),
        ("HEAD", "/api/batch/jobs/1/events", True),
        ("GET", "/api/events", True),
        ("POST", "/api/batch/jobs/events", False),
        ("GET", "/api/batch/jobs/events/", False),
        ("GET", "/api/batch/jobs/events.zip", False),
        ("GET", "/jobs/events", False),
        ("GET", "/api/batch/jobs", False),
    ],
)
def test_only_who_reads_a_stream_goes_there(method: str, path: str, is_stream: bool) -> None:
    async def talk() -> None:
        client = Client(split_of(), scope_of(path, method=method), b"not ", b"wanted")
        client.hang_up()
        body = (await client.ask()).body
        assert (body == b"['http.request', 'http.disconnect']") is is_stream, body

    run(talk())


def test_a_body_in_parts_arrives_whole() -> None:
    async def talk() -> None:
        headers = [(b"content-length", b"9"), (b"content-type", b"text/plain")]
        scope = scope_of("/x", method="POST", headers=headers)
        told = json.loads((await Client(split_of(), scope, b"one", b"two", b"six").ask()).body)
        assert (told["body"], told["CONTENT_TYPE"]) == ("onetwosix", "text/plain")

    run(talk())


def stalled(split: Split, *body: bytes) -> Client:
    """Sends no more than `body` of what it has announced."""
    headers = [(b"content-length", b"%d" % (2 * HELD_BYTES))]
    client = Client(split, scope_of("/x", method="POST", headers=headers), *body, b"the rest")
    client.stalls = True
    return client


def test_forms_that_do_not_come_hold_no_thread() -> None:
    async def talk() -> None:
        split = split_of(threads=1, waiting=1)
        slow = [asyncio.create_task(stalled(split, b"a=").ask()) for _ in range(20)]
        await asyncio.sleep(0.05)
        assert (await Client(split, scope_of("/jobs")).ask()).status == 200
        assert not any(each.done() for each in slow)

    run(talk())


def test_who_stops_sending_is_gone_before_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitting, "SILENCE_SECONDS", 0.2)

    async def talk() -> None:
        split = split_of(threads=1, waiting=1)
        slow = asyncio.create_task(stalled(split, b"a" * HELD_BYTES).ask())
        await asyncio.sleep(0.05)
        assert (await Client(split, scope_of("/jobs")).ask()).status == 200
        assert (await slow).body == b"cut"

    run(talk())


def test_who_sends_drops_is_gone_as_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitting, "SILENCE_SECONDS", 0.3)

    async def talk() -> None:
        client = stalled(split_of(), *([b"a"] * 100))
        arrive = client._receive

        async def drip() -> dict[str, Any]:
            await asyncio.sleep(0.1)
            return await arrive()

        client._receive = drip  # type: ignore[method-assign]
        assert (await client.ask()).body == b"cut"
        assert 95 < len(client._chunks) < 100

    run(talk())


def test_no_header_passes_for_another() -> None:
    async def talk() -> None:
        headers = [
            (b"x_forwarded_for", b"6.6.6.6"),
            (b"x-forwarded-for", b"1.1.1.1"),
            (b"cookie", b"a=1"),
            (b"cookie", b"b=2"),
        ]
        told = json.loads((await Client(split_of(), scope_of("/x", headers=headers)).ask()).body)
        assert told["HTTP_X_FORWARDED_FOR"] == "1.1.1.1"
        assert told["HTTP_COOKIE"] == "a=1; b=2"
        assert told["QUERY_STRING"] == "q=%C3%A9&x=%20"

    run(talk())


def test_cookies_that_come_one_by_one_reach_streams_as_one() -> None:
    seen: list[Header] = []

    async def streams(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(scope["headers"])

    async def talk() -> None:
        split = Split(pages=echo, streams=streams, threads=1, waiting=1)
        headers = [(b"cookie", b"theme=dark"), (b"x-a", b"b"), (b"cookie", b"sessionid=s")]
        await Client(split, scope_of("/api/events", headers=headers)).ask()

    run(talk())
    assert seen == [(b"x-a", b"b"), (b"cookie", b"theme=dark; sessionid=s")]


class Gate:
    """A page that answers once it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def __call__(self, environ: Environ, start_response: Any) -> list[bytes]:
        assert self.opened.wait(10)
        return echo(environ, start_response)


def test_who_comes_when_too_many_wait_is_told_when_to_come_back() -> None:
    gate = Gate()

    async def talk() -> None:
        split = split_of(gate, threads=2, waiting=3)
        held = [asyncio.create_task(Client(split, scope_of("/x")).ask()) for _ in range(5)]
        await asyncio.sleep(0.05)
        page = await Client(split, scope_of("/jobs")).ask()
        program = await Client(split, scope_of("/api/batch/jobs")).ask()
        probe = asyncio.create_task(Client(split, scope_of("/health")).ask())
        listener = Client(split, scope_of("/api/batch/jobs/events"))
        listener.hang_up()
        assert (await listener.ask()).status == 200
        gate.opened.set()
        assert [(await each).status for each in [*held, probe]] == [200] * 6
        assert (await Client(split, scope_of("/jobs")).ask()).status == 200
        assert (page.status, page.headers[b"retry-after"]) == (503, b"5")
        assert page.headers[b"content-type"].startswith(b"text/plain")
        problem = json.loads(program.body)
        assert (program.status, problem["code"]) == (503, "server.unavailable")
        assert program.headers[b"content-type"] == b"application/problem+json"

    run(talk())


def test_who_is_refused_is_counted() -> None:
    gate = Gate()
    refused = REQUESTS.labels("GET", "(refused)", "5xx")._value
    before = refused.get()

    async def talk() -> None:
        split = split_of(gate, threads=1, waiting=0)
        held = asyncio.create_task(Client(split, scope_of("/x")).ask())
        await asyncio.sleep(0.05)
        assert (await Client(split, scope_of("/jobs")).ask()).status == 503
        gate.opened.set()
        await held

    run(talk())
    assert refused.get() == before + 1


@pytest.mark.parametrize("path", ["/health", "/metrics"])
def test_who_asks_for_health_is_answered_while_all_threads_are_taken(path: str) -> None:
    gate = Gate()

    def pages(environ: Environ, start_response: Any) -> list[bytes]:
        return (echo if environ["PATH_INFO"] == path else gate)(environ, start_response)

    async def talk() -> None:
        split = split_of(pages, threads=2, waiting=3)
        held = [asyncio.create_task(Client(split, scope_of("/x")).ask()) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert (await Client(split, scope_of(path)).ask()).status == 200
        gate.opened.set()
        await asyncio.gather(*held)

    run(talk())


class Endless:
    """An answer that ends only when its reader has gone."""

    def __init__(self) -> None:
        self.is_closed = False

    def __call__(self, environ: Environ, start_response: Any) -> "Endless":
        start_response("200 OK", [])
        return self

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b"more"

    def close(self) -> None:
        self.is_closed = True


def test_a_long_answer_ends_when_nobody_reads_it() -> None:
    endless = Endless()

    async def talk() -> None:
        client = Client(split_of(endless), scope_of("/x"))
        asking = asyncio.create_task(client.ask())
        while len(client.answered) < 5 * LONG_ANSWER:
            await asyncio.sleep(0.01)
        assert not endless.is_closed
        client.hang_up()
        await asking

    run(talk())
    assert endless.is_closed


def test_a_connection_that_refuses_what_is_sent_holds_no_thread() -> None:
    endless = Endless()

    async def refuse(_: Any) -> None:
        raise ConnectionResetError

    async def talk() -> None:
        client = Client(split_of(endless, threads=1), scope_of("/x"))
        client._send = refuse  # type: ignore[method-assign]
        await client.ask()

    run(talk())
    assert endless.is_closed


def test_an_error_of_the_application_is_the_servers_to_tell() -> None:
    def broken(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        raise RuntimeError("broken")

    async def talk() -> None:
        split = split_of(broken, threads=1, waiting=0)
        for _ in range(3):
            with pytest.raises(RuntimeError, match="broken"):
                await Client(split, scope_of("/x")).ask()

    run(talk())


def test_ordinary_code_of_streams_shares_a_few_threads() -> None:
    from asgiref.sync import sync_to_async

    seen: set[str] = set()

    async def streams(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(3):
            mine = {await sync_to_async(lambda: threading.current_thread().name)()}
        assert len(mine) == 1
        seen.update(mine)

    async def talk() -> None:
        split = Split(pages=echo, streams=streams, threads=1, waiting=1)
        asked = [Client(split, scope_of("/api/events")).ask() for _ in range(50)]
        await asyncio.gather(*asked)

    run(talk())
    assert len(seen) == STREAM_THREADS
