"""What the processes of the service use: time of processors, memory."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Used:
    """Seconds of processors so far; `load` is what asks."""

    web: float
    database: float
    redis: float
    load: float

    def since(self, before: "Used") -> "Used":
        pairs = zip(vars(self).values(), vars(before).values(), strict=True)
        return Used(*[now - then for now, then in pairs])


class Watched:
    """The web server started as `web`, and the servers in `scratch`."""

    def __init__(self, web: int, scratch: Path) -> None:
        self.web = web
        mine = str(scratch).encode()
        found = {
            int(entry.name): command
            for entry in Path("/proc").glob("[0-9]*")
            if mine in (command := _command(entry))
        }
        [self.redis] = [pid for pid, command in found.items() if b"valkey-server" in command]
        [self.database] = [pid for pid, command in found.items() if b"/postgres\0-D" in command]

    def __call__(self) -> Used:
        times = os.times()
        load = times.user + times.system
        return Used(*[seconds(pid) for pid in (self.web, self.database, self.redis)], load)

    def web_megabytes(self) -> list[float]:
        """Of each web process that answers: memory that is its own, and its share of the rest."""
        return [megabytes(pid) for pid in children(self.web)]

    def redis_megabytes(self) -> float:
        return megabytes(self.redis)


def _command(entry: Path) -> bytes:
    with suppress(OSError):
        return (entry / "cmdline").read_bytes()
    return b""


def children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        yield from map(int, (task / "children").read_text().split())


def seconds(pid: int) -> float:
    """Of it, of its children, and of those that have ended."""
    numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(int(number) for number in numbers[11:15]) / TICK
    return own + sum(seconds(child) for child in children(pid))


def megabytes(pid: int) -> float:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.split("Pss:")[1].split()[0]) / 1024
