"""A load generator: many kept-alive connections from one event loop, closed loop or open.

Closed: each connection sends its next request when the last one was answered, so a slow server is
asked less. Open: requests are sent when their time has come, whatever became of the others, and
each is timed from then on, so one that had to wait for its connection has waited.
"""

import asyncio
import random
import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

HOST = "127.0.0.1"
GOOD = (200, 202, 304)
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
DATABASE = re.compile(rb"\r\nx-database: (\d+) ([\d.]+)", re.IGNORECASE)
RETRY = re.compile(rb"\r\nretry-after: (\d+)", re.IGNORECASE)
DRAIN_SECONDS = 60.0
WARM_SECONDS = 0.5
LONGEST_WARM_SECONDS = 15.0

Ask = Callable[[int], tuple[str, bytes]]
"""By the number of the connection: what is asked for, and the request as it goes over the line."""


@dataclass
class Seen:
    """What came back of what was sent while it counted, by the name of what was asked for.

    Seconds from when each should have been sent to the end of its answer; of those with one, how
    many statements it took, and the milliseconds of all of them. `errors` by status, or by word.
    """

    seconds: float = 0.0
    latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statements: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    database: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def all_latencies(self) -> list[float]:
        return [each for latencies in self.latencies.values() for each in latencies]

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return len(self.all_latencies) / self.seconds

    def add(self, other: "Seen") -> None:
        self.seconds += other.seconds
        self.errors += other.errors
        for mine, theirs in (
            (self.latencies, other.latencies),
            (self.statements, other.statements),
            (self.database, other.database),
        ):
            for name, values in theirs.items():
                mine[name].extend(values)


class Connection(asyncio.Protocol):
    """One request at a time; those whose time comes meanwhile stand in line."""

    def __init__(self, number: int, load: "Load") -> None:
        self.number, self.load = number, load
        self.line: deque[tuple[str, bytes, float]] = deque()
        self.current: tuple[str, float] | None = None
        self.answer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, _exc: Exception | None) -> None:
        if self.current is not None:
            self.current = None
            self.load.failed("connection lost", self)

    def send(self, name: str, request: bytes, due: float) -> None:
        if self.transport.is_closing():
            self.load.failed("connection lost", self)
        elif self.current is not None:
            self.line.append((name, request, due))
        else:
            self.current = (name, due)
            self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head, found, body = self.answer.partition(b"\r\n\r\n")
        if not found or self.current is None:
            return
        length = LENGTH.search(head)
        if length is not None:
            ended = len(body) >= int(length[1])
        else:
            ended = head[9:12] == b"304" or body.endswith(b"0\r\n\r\n")
        if ended:
            (name, due), self.current, self.answer = self.current, None, b""
            self.load.answered(self, name, due, head)
            if self.line and self.current is None:
                self.send(*self.line.popleft())


class Load:
    """`count` connections that send what `ask` says; `cpu` is called as the counting begins and as
    it ends, and what it gave is kept."""

    def __init__(self, port: int, count: int, ask: Ask, cpu: Callable[[], Any]) -> None:
        self.port, self.count, self.ask, self.cpu = port, count, ask, cpu
        self.seen = Seen()
        self.used: list[Any] = []
        self.is_closed = False
        self.is_sending = self.is_counting = False
        self.sent_but_unanswered = self.answers = 0

    def closed(self, *, seconds: float) -> Seen:
        """It counts once every connection could have had its first answer: those who are first in
        line get theirs sooner than anybody does later."""
        self.is_closed = True
        asyncio.run(self._play(seconds, rate=0.0))
        return self.seen

    def open(self, rate: float, *, seconds: float) -> Seen:
        """Together `rate` requests a second at random moments."""
        asyncio.run(self._play(seconds, rate=rate))
        return self.seen

    async def _play(self, seconds: float, *, rate: float) -> None:
        await self._connect()
        self.is_sending = True
        sender = None
        if self.is_closed:
            for connection in self.connections:
                self._send_next(connection)
        else:
            sender = asyncio.create_task(self._send_at_random(rate))
        await self._warm()
        self.used, self.is_counting, began = [self.cpu()], True, time.perf_counter()
        await asyncio.sleep(seconds)
        self.seen.seconds = time.perf_counter() - began
        self.used.append(self.cpu())
        # What was sent in an open loop while it counted counts to its end, however late that is.
        self.is_counting, self.is_sending = not self.is_closed, False
        if sender is not None:
            sender.cancel()
        await self._drain()
        for connection in self.connections:
            connection.current = None
            connection.transport.abort()

    async def _warm(self) -> None:
        until = time.perf_counter() + LONGEST_WARM_SECONDS
        await asyncio.sleep(WARM_SECONDS)
        while self.is_closed and self.answers < self.count and time.perf_counter() < until:
            await asyncio.sleep(0.05)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        self.connections: list[Connection] = []
        for number in range(self.count):
            made = Connection(number, self)
            await loop.create_connection(lambda made=made: made, HOST, self.port)
            self.connections.append(made)

    async def _send_at_random(self, rate: float) -> None:
        chance = random.Random(9)
        due = time.perf_counter()
        while True:
            due += chance.expovariate(rate)
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            connection = chance.choice(self.connections)
            self.sent_but_unanswered += 1
            connection.send(*self.ask(connection.number), due)

    async def _drain(self) -> None:
        until = time.perf_counter() + DRAIN_SECONDS
        while self.sent_but_unanswered and time.perf_counter() < until:
            await asyncio.sleep(0.05)
        if self.sent_but_unanswered:
            self.seen.errors["not answered"] += self.sent_but_unanswered

    def _send_next(self, connection: Connection) -> None:
        if self.is_sending:
            self.sent_but_unanswered += 1
            connection.send(*self.ask(connection.number), time.perf_counter())

    def failed(self, why: str, connection: Connection) -> None:
        self.sent_but_unanswered -= 1 + len(connection.line)
        connection.line.clear()
        self.seen.errors[why] += 1

    def answered(self, connection: Connection, name: str, due: float, head: bytes) -> None:
        self.sent_but_unanswered -= 1
        self.answers += 1
        status = int(head[9:12])
        wait = 0.0
        if status not in GOOD:
            retry = RETRY.search(head)
            wait = float(retry[1]) if retry else 0.1
            self.seen.errors[str(status)] += self.is_counting
        elif self.is_counting:
            self.seen.latencies[name].append(time.perf_counter() - due)
            if told := DATABASE.search(head):
                self.seen.statements[name].append(int(told[1]))
                self.seen.database[name].append(float(told[2]))
        if self.is_closed:
            if wait:  # as a client does that is told to come back
                loop = asyncio.get_running_loop()
                loop.call_later(wait, self._send_next, connection)
            else:
                self._send_next(connection)
