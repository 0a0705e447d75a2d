"""What `up` and its children say: on the terminal, and in `logs/NAME.log` of the data directory."""

import collections
import contextlib
import logging
import sys
import threading
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import BinaryIO

LOG_BYTES = 10_000_000
LOG_FILES_KEPT = 2
LINES_REMEMBERED = 15


Shape = Callable[[str, str], str]
"""What makes a line for programs of what a process, by its name, said."""


class Console:
    """The terminal. Children are heard on it only once `is_open_to_children` is set, and from the
    start where a program reads along: `shape` then makes each line, in the files too.

    A terminal that went away is no reason to stop: the log files have everything.
    """

    def __init__(self, shape: Shape | None = None) -> None:
        self.shape = shape
        self.is_open_to_children = shape is not None
        self._lock = threading.Lock()

    def say(self, text: str = "") -> None:
        self._write(self.shape("docmill.up", text.strip()) if self.shape else text)

    def _write(self, text: str) -> None:
        with self._lock, contextlib.suppress(OSError):
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    def relay(self, name: str, line: str) -> None:
        if self.is_open_to_children:
            self.quote(name, line)

    def quote(self, name: str, line: str) -> None:
        self._write(line if self.shape else f"{name:<7}| {line}")


class Transcript:
    """One child's output: read in a thread, filed, relayed, its last lines remembered."""

    def __init__(self, name: str, console: Console, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        self._name = name
        self._console = console
        self._last: collections.deque[str] = collections.deque(maxlen=LINES_REMEMBERED)
        self._reader: threading.Thread | None = None
        self._file = RotatingFileHandler(
            directory / f"{name}.log",
            maxBytes=LOG_BYTES,
            backupCount=LOG_FILES_KEPT,
            encoding="utf-8",
        )

    def follow(self, stream: BinaryIO) -> None:
        """Reads `stream` from now on. A daemon thread: a stray writer cannot keep `up` alive."""
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def last_lines(self) -> list[str]:
        return list(self._last)

    def close(self) -> None:
        if self._reader:
            self._reader.join(timeout=1.0)
        self._file.close()

    def _read(self, stream: BinaryIO) -> None:
        with stream:
            for raw in stream:
                line = raw.decode(errors="replace").rstrip()
                if self._console.shape:
                    line = self._console.shape(self._name, line)
                self._last.append(line)
                self._file.handle(logging.makeLogRecord({"msg": line}))
                self._console.relay(self._name, line)
