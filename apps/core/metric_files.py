"""What the processes of a machine have counted, in files that outlive them.

Each process writes into files of its own, mapped into memory: counting waits for nobody, and what
a killed process counted stays. It holds a lock for as long as it lives, so that whoever reads knows
the ended from the living, in other containers as well; what the ended left is added up in one file.
What cannot be written down (no room, no rights) is kept in memory until it can, and no work fails
for it.
"""

import fcntl
import json
import logging
import os
import secrets
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO

from prometheus_client.mmap_dict import MmapedDict

logger = logging.getLogger(__name__)

SUMMED = ("counter", "histogram")
"""Kinds of which what the ended counted still counts. A gauge ends with its process."""
KINDS = (*SUMMED, "gauge")
FIRST_BYTES = 1 << 16
AGAIN_SECONDS = 60.0
"""How long nothing new is tried where a file could not be made or grow."""
BUSY_SECONDS = 1.0
"""How long somebody else may be adding up."""
ENDED = "ended.json"
FOLDER_LOCK = "folder.lock"
BROKEN = (OSError, ValueError, TypeError, RuntimeError, struct.error)
"""What reading a file may raise that was cut off or is not ours."""

Numbers = defaultdict[tuple[str, str], float]
"""(kind, key) -> number. A key is JSON: the sample's name and its labels."""


class Busy(Exception):
    """Somebody else is adding up, and does not end."""


class _File(MmapedDict):
    """Of one kind. Its room on the disk is taken before it is mapped: a write into a mapped file
    for which there is none would end the process (SIGBUS)."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(FIRST_BYTES))
        super().__init__(str(path))  # type: ignore[no-untyped-call]

    def has(self, key: str) -> bool:
        return key in self._positions

    def put(self, value: "Value") -> None:
        self.write_value(value.key, value.number, 0.0)  # type: ignore[no-untyped-call]

    def _init_value(self, key: str) -> None:
        if self._used + len(key.encode()) + 32 > self._capacity:  # its length, padding and numbers
            self._double()
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _double(self) -> None:
        try:
            self._f.write(bytes(self._capacity))
            self._f.flush()
        except OSError:
            os.ftruncate(self._f.fileno(), self._capacity)
            raise


class Value:
    """A number of this process, as prometheus_client wants one: what it calls a ValueClass."""

    _multiprocess = True

    def __init__(
        self,
        kind: str,
        _metric: str,
        name: str,
        labels: Iterable[str],
        values: Iterable[str],
        *_: Any,
        **__: Any,
    ) -> None:
        self.kind = kind
        named = dict(zip(labels, values, strict=True))
        self.key = json.dumps([name, named], sort_keys=True)
        self.number = 0.0
        with _state.lock:
            _state.values.append(self)

    def inc(self, amount: float) -> None:
        with _state.lock:
            self.number += amount
            _state.write(self)

    def set(self, number: float, timestamp: float | None = None) -> None:
        with _state.lock:
            self.number = number
            _state.write(self)

    def get(self) -> float:
        return self.number

    def set_exemplar(self, exemplar: object) -> None:
        """None are kept."""

    def get_exemplar(self) -> None:
        """There is none."""


class _State:
    """Of this process. A child that is forked begins with nothing counted: its parent has that."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.folder: Path | None = None
        self._files: dict[str, _File] = {}
        self._held: TextIO | None = None
        self.begin()

    def begin(self) -> None:
        """Lets go of files, which in a child that was forked are its parent's, and stay locked."""
        self.lock = threading.RLock()
        for file in self._files.values():
            file.close()  # type: ignore[no-untyped-call]
        if self._held is not None:
            self._held.close()
        self._files = {}
        self._held = None
        self._again_at = 0.0
        self._has_failed = False
        for value in self.values:
            value.number = 0.0

    def write(self, value: Value) -> None:
        file = self._files.get(value.kind)
        if file is not None and file.has(value.key):
            file.put(value)
        elif self.folder is not None and time.monotonic() >= self._again_at:
            self._write_new(value, self.folder)

    def _write_new(self, value: Value, folder: Path) -> None:
        try:
            self._file(value.kind, folder).put(value)
            if self._has_failed:
                self._catch_up(folder)
        except OSError as error:
            self._again_at = time.monotonic() + AGAIN_SECONDS
            if not self._has_failed:
                logger.warning("metrics: nothing can be written in %s: %s", folder, error)
            self._has_failed = True

    def _catch_up(self, folder: Path) -> None:
        for value in self.values:
            if value.number:
                self._file(value.kind, folder).put(value)
        self._has_failed = False

    def _file(self, kind: str, folder: Path) -> _File:
        if kind not in self._files:
            if self._held is None:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._token, self._held = _registered(folder)
                with suppress(Busy, OSError), _alone(folder, seconds=0.0):
                    _add_up(folder)  # or the folder would grow where nobody asks
            self._files[kind] = _File(folder / f"{kind}_{self._token}.db")
        return self._files[kind]


_state = _State()
os.register_at_fork(after_in_child=_state.begin)


def write_into(folder: Path | None) -> None:
    """Where this process writes from now on what it counts, beginning with nothing; None:
    nowhere."""
    with _state.lock:
        _state.folder = folder
        _state.begin()


def totals(folder: Path) -> Numbers:
    """What all processes that write into `folder`, ended ones too, have counted together. Raises
    Busy, and OSError where nothing can be read."""
    if not folder.is_dir():
        return _nothing()
    with _alone(folder, seconds=BUSY_SECONDS):
        found, others = _add_up(folder)
        for token, kinds in others.items():
            _add(found, _numbers(folder, token, kinds))
    return found


def _nothing() -> Numbers:
    return defaultdict(float)


def _add(numbers: Numbers, more: Numbers) -> None:
    for at, number in more.items():
        numbers[at] += number


@lru_cache(maxsize=20_000)
def parsed(key: str) -> tuple[str, dict[str, str]]:
    """The sample's name and its labels, which are not to be changed. Raises ValueError."""
    name, labels = json.loads(key)
    return str(name), dict(labels)


def _registered(folder: Path) -> tuple[str, TextIO]:
    """A name for this process that no other ever has, and its lock, held until the process ends.

    Who adds up in between takes it for ended, and removes it.
    """
    while True:
        token = f"{os.getpid()}-{secrets.token_hex(6)}"
        held = (folder / f"{token}.lock").open("w", encoding="ascii")
        if _locked(held) and os.fstat(held.fileno()).st_nlink:
            return token, held
        held.close()


@contextmanager
def _alone(folder: Path, *, seconds: float) -> Iterator[None]:
    """Nobody else adds up meanwhile. Raises Busy where somebody does for longer than `seconds`."""
    until = time.monotonic() + seconds
    with (folder / FOLDER_LOCK).open("w", encoding="ascii") as held:
        while not _locked(held):
            if time.monotonic() >= until:
                raise Busy
            time.sleep(0.01)
        yield


def _add_up(folder: Path) -> tuple[Numbers, dict[str, tuple[str, ...]]]:
    """What the ended have counted; and who is to be counted besides, with which kinds.

    Their files are added to one that has the sum, and removed; where that cannot be written they
    stay. The sum names whose files may still be there although it has them, so that a process that
    is killed meanwhile counts nothing twice.
    """
    numbers, added = _ended(folder)
    with ExitStack() as locks:
        tokens = _tokens(folder)
        dead = {token for token in tokens if _is_dead(folder, token, locks)}
        new = dead - added
        if new:
            more = numbers.copy()
            for token in new:
                _add(more, _numbers(folder, token, SUMMED))
            if _has_written(folder, more, dead):
                numbers, added = more, dead
        for token in added & tokens:
            for path in (*_files(folder, token, KINDS), folder / f"{token}.lock"):
                path.unlink(missing_ok=True)
    others = tokens - added
    return numbers, {token: SUMMED if token in dead else KINDS for token in others}


def _is_dead(folder: Path, token: str, locks: ExitStack) -> bool:
    """Whether nobody holds its lock; held by `locks` then, so that nobody takes it meanwhile."""
    try:
        held = locks.enter_context((folder / f"{token}.lock").open("r+", encoding="ascii"))
    except FileNotFoundError:
        return True
    return _locked(held)


def _locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _tokens(folder: Path) -> set[str]:
    """Of all that wrote here, and were not added up and removed."""
    locks = {path.stem for path in folder.glob("*-*.lock")}
    return locks | {path.stem.partition("_")[2] for path in folder.glob("*_*-*.db")}


def _files(folder: Path, token: str, kinds: Iterable[str]) -> list[Path]:
    return [folder / f"{kind}_{token}.db" for kind in kinds]


def _numbers(folder: Path, token: str, kinds: Iterable[str]) -> Numbers:
    """What a process has counted; of a file that is broken, what comes before that."""
    found = _nothing()
    for path in _files(folder, token, kinds):
        kind = path.name.partition("_")[0]
        with suppress(FileNotFoundError):
            try:
                for key, number, *_ in MmapedDict.read_all_values_from_file(path):
                    parsed(key)  # or what is cut off would stay for ever
                    found[kind, key] += number
            except BROKEN as error:
                if isinstance(error, FileNotFoundError):
                    raise
                logger.warning("metrics: %s cannot be read: %s", path, error)
    return found


def _ended(folder: Path) -> tuple[Numbers, set[str]]:
    """The sum of the ended, and whose files may still be there although it has them."""
    try:
        told = json.loads((folder / ENDED).read_text(encoding="utf-8"))
        numbers = {(kind, key): float(number) for kind, key, number in told["numbers"]}
        return defaultdict(float, numbers), {*told["added"]}
    except FileNotFoundError:
        return _nothing(), set()
    except (ValueError, KeyError, TypeError) as error:
        logger.warning("metrics: %s is broken and begins anew: %s", folder / ENDED, error)
        return _nothing(), set()


def _has_written(folder: Path, numbers: Numbers, added: Iterable[str]) -> bool:
    told = {"added": sorted(added), "numbers": [[*at, number] for at, number in numbers.items()]}
    draft = folder / f"{ENDED}.new"
    try:
        draft.write_text(json.dumps(told), encoding="utf-8")
        draft.replace(folder / ENDED)
    except OSError as error:
        logger.warning("metrics: what ended processes counted cannot be added up: %s", error)
        return False
    return True
