"""One web application of two: streams stay on the event loop, everything else is Django's WSGI
application in a bounded number of threads.

Django's own ASGI application would give every request of ordinary code a thread of its own, and
those of a busy second a thousand.
"""

import asyncio
import json
import re
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any, cast

from a2wsgi import WSGIMiddleware
from asgiref.sync import ThreadSensitiveContext

from apps.core import problems
from apps.core.clients import address_behind, customer
from apps.core.deadline import BEGAN
from apps.core.errors import Unavailable
from apps.core.metrics import count_refused
from apps.core.threads import Threads

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]
Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]

STREAMS = re.compile(r"/api/(?:.+/)?events")
"""Paths of streams. The proxies in docs/live.md know them by the same end."""
THREADS = 16
"""Each may wait for a slow client, so more than the cores need, and more than there are database
connections: a request has none while it reads its body or is being read."""
EACH = 12
"""Of them, which one client may have at a time. Who sends a body or reads an answer a little at a
time holds a thread for as long: some are left for everybody else."""
WAITING = 500
"""As many requests as a process answers in a second or two."""
STREAM_THREADS = 4
"""Ordinary code of all streams of a process: who asks, what they may. One thread each, lent by
turns, since what is done for one request has to be done in one thread."""
ALWAYS = frozenset({"/health", "/api/health", "/health/live", "/health/ready"})
"""Answered however many wait, by threads of their own while all others are taken: who asks would
start the service anew."""
SCRAPED = "/metrics"
"""Answered however many wait as well, by another thread: it may wait for a session."""
PROBE_THREADS = 4
"""A look at what hangs takes nearly a second."""
BUSY_SECONDS = 5
LONG_ANSWER = 8
"""Parts of an answer after which it is worth knowing whether anybody still reads it."""
HELD_BYTES = 64 * 1024
"""Of a body, before it is given a thread: all of a form."""
SILENCE_SECONDS = 30.0
SLOWEST = 512
"""Bytes a second. A client that sends its body more slowly is gone once it has been waited for so
long: a few of them would take every thread, and whoever likes may send a form."""
TALK = "docmill.talk"
"""Where the scope of a request has its `_Talk`."""


class Split:
    """`pages` and `streams` as one. At most `threads` requests for pages are answered at a time,
    `each` of one client (None: all), so many more as `waiting` says may wait, and the rest are told
    to come back. What waits because of its own client takes nobody else's room."""

    def __init__(
        self, *, pages: Wsgi, streams: Asgi, threads: int, waiting: int, each: int | None = None
    ) -> None:
        self._pages = _in_threads(pages, threads, "pages")
        self._probes = _in_threads(pages, PROBE_THREADS, "probes")
        self._scrapes = _in_threads(pages, 1, "scrapes")
        self._streams = streams
        self._threads = threads
        self._room = threads + waiting
        self._inside = 0
        self._each = each or threads
        self._lines: dict[str, _Line] = {}
        self._lent = cycle([Threads(1, f"streams-{number}") for number in range(STREAM_THREADS)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
            return
        scope = _with_one_cookie(scope)
        if _is_stream(scope):
            async with ThreadSensitiveContext(executor=next(self._lent)):
                await self._streams(scope, _without_body(receive), send)
        else:
            talk = _Talk(receive, send)
            if _is_form(scope):
                await talk.hold()
            await self._answer(_as_wsgi_takes_it(scope, talk), talk)

    async def _answer(self, scope: Scope, talk: "_Talk") -> None:
        is_probe = scope["path"] in ALWAYS or scope["path"] == SCRAPED
        if not is_probe:
            await self._in_line(scope, talk)
        elif self._inside >= self._threads:
            beside = self._scrapes if scope["path"] == SCRAPED else self._probes
            await beside(scope, talk.receive, talk.send)
        else:
            await self._in_a_thread(scope, talk)

    async def _in_line(self, scope: Scope, talk: "_Talk") -> None:
        """Behind what its client has under way already."""
        client = _client_of(scope)
        line = self._lines.setdefault(client, _Line(asyncio.Semaphore(self._each)))
        if line.count >= self._each + self._room - self._threads:
            await _refuse(scope, talk.send)
            return
        line.count += 1
        try:
            async with line.places:
                if self._inside >= self._room:
                    await _refuse(scope, talk.send)
                else:
                    await self._in_a_thread(scope, talk)
        finally:
            line.count -= 1
            if not line.count:
                del self._lines[client]

    async def _in_a_thread(self, scope: Scope, talk: "_Talk") -> None:
        self._inside += 1
        try:
            await self._pages(scope, talk.receive, talk.send)
        finally:
            self._inside -= 1


@dataclass
class _Line:
    """How many requests of one client there are, and places for those that are answered."""

    places: asyncio.Semaphore
    count: int = 0


def _client_of(scope: Scope) -> str:
    address, *_ = scope.get("client") or ("",)
    forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return customer(address_behind(str(address), b",".join(forwarded).decode("latin-1")))


def _in_threads(pages: Wsgi, threads: int, name: str) -> Asgi:
    found = WSGIMiddleware(_until_over(pages), workers=threads)  # type: ignore[arg-type]  # its names for the same
    found.executor = cast(Any, Threads(threads, name))
    return cast(Asgi, found)


def _is_form(scope: Scope) -> bool:
    """Whether a body may come that is read before it is known who sends it. The API looks at that
    first, and refuses much by the headers alone."""
    return scope["method"] not in ("GET", "HEAD") and not scope["path"].startswith("/api/")


def _is_stream(scope: Scope) -> bool:
    return scope["method"] in ("GET", "HEAD") and bool(STREAMS.fullmatch(scope["path"]))


class _Talk:
    """One request and its answer, in the terms of a2wsgi.

    It calls `receive` from a thread, which takes a coroutine and no other awaitable, as granian's
    is; and a `send` that raised would leave its thread waiting for ever. `is_over`: nobody reads
    the answer any more. That is asked of long ones only.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._parts = 0
        self._held: deque[Message] = deque()
        self._seconds = SILENCE_SECONDS
        self._listening: asyncio.Task[None] | None = None
        self.is_over = False

    async def hold(self) -> None:
        """Waits for the body, or as much of it as is held."""
        count, has_more = 0, True
        while has_more and count < HELD_BYTES:
            message = await self._next()
            count += len(message.get("body", b""))
            has_more = message.get("more_body", False)
            self._held.append(message)

    async def receive(self) -> Message:
        """Raises OSError where the body ends before its end, which Django tells as
        UnreadablePostError: half of a form must not pass for all of it."""
        message = self._held.popleft() if self._held else await self._next()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the body of the request did not come to its end")
        return message

    async def _next(self) -> Message:
        """What its client sends next; that it is gone once it was too slow."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._seconds):
                message = await self._receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        left = self._seconds - (time.monotonic() - began)
        self._seconds = min(left + len(message.get("body", b"")) / SLOWEST, SILENCE_SECONDS)
        return message

    async def send(self, message: Message) -> None:
        self._parts += 1
        if self._parts == LONG_ANSWER:
            self._listening = asyncio.create_task(self._until_over())
        if self.is_over:
            return
        try:
            await self._send(message)
        except OSError:
            self.is_over = True

    async def _until_over(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass  # what is left of a body that nobody wanted
        self.is_over = True


def _with_one_cookie(scope: Scope) -> Scope:
    """HTTP/2 lets cookies come one by one, and both Django and a2wsgi would put commas between."""
    cookies = [value for name, value in scope["headers"] if name == b"cookie"]
    if len(cookies) < 2:
        return scope
    headers = [header for header in scope["headers"] if header[0] != b"cookie"]
    return {**scope, "headers": [*headers, (b"cookie", b"; ".join(cookies))]}


def _as_wsgi_takes_it(scope: Scope, talk: _Talk) -> Scope:
    """The scope without what a2wsgi would make into something else, and when it came.

    A header with an underscore would pass for the one with a hyphen, such as that of a proxy. A
    query may hold any byte.
    """
    headers = [header for header in scope["headers"] if b"_" not in header[0]]
    query = scope["query_string"]
    if not query.isascii():
        query = b"".join(b"%%%02X" % byte if byte > 127 else b"%c" % byte for byte in query)
    return {**scope, "headers": headers, "query_string": query, TALK: talk, BEGAN: time.monotonic()}


def _until_over(pages: Wsgi) -> Wsgi:
    """`pages`, whose answers end when nobody reads them any more."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        talk = environ["asgi.scope"][TALK]
        parts = pages(environ, start_response)
        try:
            for part in parts:
                yield part
                if talk.is_over:
                    return
        finally:
            getattr(parts, "close", lambda: None)()

    return answer


def _without_body(receive: Receive) -> Receive:
    """What a stream hears: no body, whatever was sent, and then that its reader is gone. Django
    would keep the body on the disk first."""
    is_told = False

    async def hear() -> Message:
        nonlocal is_told
        if not is_told:
            is_told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while (message := await receive())["type"] != "http.disconnect":
            pass
        return message

    return hear


async def _refuse(scope: Scope, send: Send) -> None:
    """Tells a program with a problem, and a page, which tries again by itself, with words."""
    count_refused(scope["method"])
    error = Unavailable("More requests wait than can be answered soon.", retry_after=BUSY_SECONDS)
    request_id = uuid.uuid4().hex  # as middleware would have given it
    kind, body = b"text/plain; charset=utf-8", f"{error.title}. {error.detail}".encode()
    if scope["path"].startswith("/api"):
        told = problems.body(error) | {"request_id": request_id}
        kind, body = problems.CONTENT_TYPE.encode(), json.dumps(told).encode()
    headers = [
        (b"x-request-id", request_id.encode()),
        (b"content-type", kind),
        (b"content-length", b"%d" % len(body)),
        (b"retry-after", b"%d" % BUSY_SECONDS),
        (b"cache-control", b"no-store"),
    ]
    status = int(error.status)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
