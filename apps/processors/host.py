"""Reads documents in a child process of its own, so that a crash, a hang or a bomb costs a child.

One host per slot. It keeps one warm child and takes a new one after 50 documents, after any
failure but a plain refusal, and when the organization changes. What the child gives up is in
`sandbox`.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from apps.processors import errors, wire
from apps.processors.collecting import Improper, collect
from apps.processors.errors import BadDocument, Stopped, Unavailable
from apps.processors.kinds import KINDS
from apps.processors.protocol import Options
from apps.processors.reading import (
    MALFORMED,
    TICK_SECONDS,
    Budget,
    Outcome,
    Progress,
    Reading,
    nonsense,
    numbers,
)
from apps.processors.spawn import Child, Gone

__all__ = ["Budget", "Isolation", "Outcome", "ProcessorHost", "isolation_in_force"]

DOCUMENTS_PER_CHILD = 50
START_SECONDS = 60.0
MAX_ARTIFACTS = 1
TIRED_SHARE = 1 / 3
"""A child that keeps more than this share of its memory cap after a document is replaced."""


@dataclass(frozen=True)
class Isolation:
    """What the child really gave up, as seen on this machine: short words for people."""

    user: str
    network: str
    processes: str
    files: str
    memory: str
    parents_death: str

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> "Isolation":
        """From the child's own words. Raises KeyError when one is missing."""
        return cls(**{field.name: str(said[field.name]) for field in fields(cls)})

    @property
    def missing(self) -> dict[str, str]:
        """What is missing, a sentence by layer; empty when everything is in force."""
        files = "The reader could see files that every user of this machine may see."
        if self.user != "nobody":
            files = "The reader could use all files of the user that runs the worker."
        sentences = {
            "user": ("Documents are read as root.", self.user == "root"),
            "network": ("The reader could open network connections.", self.network == "open"),
            "processes": ("The reader could start other programs.", self.processes == "open"),
            "files": (files, not self.files.startswith("landlock")),
            "memory": ("The reader's memory is not capped.", self.memory == "open"),
        }
        return {layer: sentence for layer, (sentence, holds) in sentences.items() if holds}

    @property
    def weaknesses(self) -> list[str]:
        """What is missing, as sentences."""
        return list(self.missing.values())


def isolation_in_force(memory_bytes: int = 1536 * 1024 * 1024) -> Isolation:
    """Start a child, ask what it gave up, and end it. Raises Unavailable when none starts."""
    host = ProcessorHost()
    try:
        return host.start(memory_bytes)
    finally:
        host.close()


class ProcessorHost:
    """See the module. Belongs to the thread that uses it: the child dies with that thread."""

    def __init__(self, processors: Iterable[str] = ()) -> None:
        """`processors`: dotted paths to load from the start. Others are added, with a new child,
        when first asked for."""
        self._processors = list(dict.fromkeys(processors))
        self._child: Child | None = None
        self._owner = ""
        self._documents = 0
        self._failures: Mapping[str, Any] = {}
        self._engines: Mapping[str, Any] = {}

    @property
    def pid(self) -> int | None:
        """Of the child, if there is one."""
        return self._child.pid if self._child else None

    @property
    def engines(self) -> Mapping[str, str]:
        """Name and version of each processor the last child loaded, by dotted path."""
        return {path: str(engine) for path, engine in self._engines.items()}

    @property
    def failures(self) -> Mapping[str, str]:
        """Why the others did not load, by dotted path."""
        return {path: errors.from_json(why).detail for path, why in self._failures.items()}

    def run(  # noqa: PLR0913 (keyword-only; each is a fact of its own about one document)
        self,
        *,
        processor: str,
        source: Path,
        name: str,
        kind: str,
        options: Options,
        owner: str,
        budget: Budget,
        on_progress: Progress,
        should_stop: Callable[[], bool],
        members_to: Path | None = None,
        searchable_to: Path | None = None,
    ) -> Outcome:
        """Read `source` with the processor at the dotted path `processor`.

        `on_progress(done, total, note)` is called in this thread, not more often than five times
        a second; `should_stop()` at least four times a second. Documents found inside are copied
        to the existing folder `members_to`; without it they have names only. A searchable PDF is
        made where there is a folder for it. Raises a ProcessingError with `usage` where known,
        OSError when a file cannot be copied, and whatever the two callbacks raise. After any but a
        BadDocument the child is gone; what lies in the folders is the caller's to remove.
        """
        try:
            child = self._ready_child(processor, owner, budget, should_stop)
            order = {
                "processor": processor,
                "path": child.room.bring(source, KINDS[kind].extensions[0]),
                "name": name,
                "kind": kind,
                "options": options.for_child(),
                "searchable": searchable_to is not None,
                "seconds": budget.seconds,
            }
        except BaseException:
            self.close()
            raise
        engine = self.engines.get(processor, "")
        reading = Reading(child, kind, engine, budget, on_progress, should_stop)
        try:
            outcome = _with_files(reading.finish(order), reading, members_to, searchable_to)
        except BadDocument:
            self._retire_or_tidy(child, reading.usage)
            raise
        except BaseException:
            self.close()
            raise
        self._retire_or_tidy(child, reading.usage)
        return outcome

    def start(
        self, memory_bytes: int, should_stop: Callable[[], bool] = lambda: False
    ) -> Isolation:
        """Replace the child by a new one, ready to read. Raises Unavailable and Stopped."""
        self.close()
        child = self._child = Child(memory_bytes=memory_bytes)
        self._documents, self._owner = 0, ""
        hello = _first_word(child, self._processors, should_stop)
        try:
            given_up = hello["ready"]
            self._failures, self._engines = dict(hello["failures"]), dict(hello["engines"])
            child.note(numbers(hello["usage"]))
            return Isolation.parse(given_up)
        except MALFORMED as error:
            raise Unavailable("processor.unavailable", "The reader did not start.") from error

    def close(self) -> None:
        """End the child. The host can be used again."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _ready_child(
        self, processor: str, owner: str, budget: Budget, should_stop: Callable[[], bool]
    ) -> Child:
        if processor not in self._processors:
            self._processors.append(processor)
            self.close()
        child = self._child
        if child is None or self._owner not in ("", owner) or not self._suits(child, budget):
            self.start(budget.memory_bytes, should_stop)
        self._owner = owner
        if processor in self._failures:
            raise errors.from_json(self._failures[processor])
        assert self._child is not None
        return self._child

    @staticmethod
    def _suits(child: Child, budget: Budget) -> bool:
        return child.memory_bytes == budget.memory_bytes and child.is_alive()

    def _retire_or_tidy(self, child: Child, usage: Mapping[str, float]) -> None:
        self._documents += 1
        tired = usage.get("rss_bytes", 0) > child.memory_bytes * TIRED_SHARE
        if tired or self._documents >= DOCUMENTS_PER_CHILD:
            self.close()
        else:
            child.note(usage)
            child.room.tidy()


def _with_files(
    outcome: Outcome, reading: Reading, members_to: Path | None, searchable_to: Path | None
) -> Outcome:
    """`outcome` with members and artifacts, at absolute paths if there is a folder for them, taken
    from the room. Raises what `run` does."""
    extraction = outcome.extraction
    take = partial(collect, room=reading.child.room.path, should_stop=reading.should_stop)
    try:
        members = take(extraction.members, into=members_to)
        artifacts = take(extraction.artifacts[:MAX_ARTIFACTS], into=searchable_to)
    except Improper as error:
        raise reading.ended(nonsense()) from error
    made = artifacts if searchable_to else ()
    return replace(outcome, extraction=replace(extraction, members=members, artifacts=made))


def _first_word(
    child: Child, processors: Sequence[str], should_stop: Callable[[], bool]
) -> dict[str, Any]:
    """What the child says when it is ready. Raises Unavailable when it never is."""
    deadline = time.monotonic() + START_SECONDS
    try:
        child.prepare(processors)
        while time.monotonic() < deadline:
            if should_stop():
                raise Stopped("Reading was stopped.")
            for message in child.receive(TICK_SECONDS):
                return message
    except (Gone, wire.TooLarge, wire.Garbled):
        pass
    raise Unavailable("processor.unavailable", "The program that reads files did not start.")
