"""Reading a stream of events as a program does."""

import http.client
import json
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Any

from apps.jobs.hub import Hub


@dataclass(frozen=True)
class Event:
    kind: str
    identifier: str
    data: dict[str, Any]
    at: float


class Listener:
    """One open stream. What comes is read by a thread of its own, until either side ends it."""

    def __init__(self, port: int, path: str, key: str, *, last: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Authorization": f"Bearer {key}"} | ({"Last-Event-ID": last} if last else {})
        self._connection.request("GET", path, headers=headers)
        self._socket = self._connection.sock
        self.answer = self._connection.getresponse()
        self.status = self.answer.status
        self._events: Queue[Event | None] = Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        if self.status == 200:
            self._thread.start()

    @property
    def problem(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.answer.read())
        return told

    def next(self, *, seconds: float = 30, still: bool = False) -> Event:
        """What comes next; `still` too where that is asked for. Fails when nothing does."""
        until = time.monotonic() + seconds
        while True:
            event = self._events.get(timeout=max(0.01, until - time.monotonic()))
            assert event is not None, "the stream has ended"
            if still or event.kind != "still":
                self.last = event
                return event

    def until(self, revision: int, *, seconds: float = 10) -> list[Event]:
        """All events up to that of this revision or a later one."""
        events = [self.next(seconds=seconds)]
        while events[-1].data["revision"] < revision:
            events.append(self.next(seconds=seconds))
        return events

    def is_silent(self, seconds: float) -> bool:
        try:
            self.next(seconds=seconds)
        except Empty:
            return True
        return False

    def ends(self, *, seconds: float = 10) -> bool:
        """Whether the other side ends it within so long, whatever comes before."""
        until = time.monotonic() + seconds
        with suppress(Empty):
            while self._events.get(timeout=max(0.01, until - time.monotonic())) is not None:
                pass
            return True
        return False

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self.status == 200:
            self._thread.join(5)
        self.answer.close()
        self._connection.close()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        with suppress(OSError, http.client.HTTPException, ValueError):
            while line := self.answer.readline().decode():
                name, _, value = line.rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                    continue
                if "event" in fields:
                    data = json.loads(fields["data"])
                    event = Event(fields["event"], fields.get("id", ""), data, time.monotonic())
                    self._events.put(event)
                fields = {}
        self._events.put(None)


class QuietHub(Hub):
    """Looks when it is told to, and has no threads."""

    def begin(self) -> None:
        pass
