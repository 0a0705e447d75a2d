"""One `up` per data directory, and a port that is its own."""

import contextlib
import fcntl
import ipaddress
import json
import os
import socket
import sys
from pathlib import Path
from typing import Self


class AlreadyRunning(Exception):
    """Another process holds the data directory. `pid` and `url` as it wrote them, else empty."""

    def __init__(self, pid: str, url: str) -> None:
        super().__init__(f"pid {pid or 'unknown'}, {url or 'still starting'}")
        self.pid = pid
        self.url = url


class Instance:
    """The claim on a data directory: a locked file, so that it ends with the process."""

    def __init__(self, path: Path) -> None:
        """Raises AlreadyRunning when another process holds the lock on `path`."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            told = _told(path)
            os.close(self._fd)
            raise AlreadyRunning(told.get("pid", ""), told.get("url", "")) from None
        self.tell(url="")

    def tell(self, *, url: str) -> None:
        """Writes who runs here, for whoever comes second."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps({"pid": str(os.getpid()), "url": url}).encode(), 0)

    def close(self) -> None:
        os.ftruncate(self._fd, 0)
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _told(path: Path) -> dict[str, str]:
    try:
        told: dict[str, str] = json.loads(path.read_text())
    except ValueError:  # caught between truncating and writing
        return {}
    return told


class Port:
    """A free TCP port of `host`, the wished one if it can be had.

    Looking is not enough: Granian listens with SO_REUSEPORT, so two servers of one user that both
    looked in time would share a port, and each other's requests. On Linux a name in the abstract
    socket namespace, which the kernel frees with the process, settles who has it.
    """

    SEARCHED = 50

    def __init__(self, host: str, wished: int) -> None:
        """Raises OSError when `host` is not of this machine or no port near `wished` is free."""
        self.host = numeric_address(host)
        self._claim: socket.socket | None = None
        last = OSError(f"no free port from {wished}")
        for number in range(wished, min(wished + self.SEARCHED, 65536)):
            try:
                self._take(number)
            except OSError as error:
                last = error
                continue
            self.number = number
            return
        raise last

    def _take(self, number: int) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        claim = None
        if sys.platform == "linux":
            claim = socket.socket(socket.AF_UNIX)
            try:
                claim.bind(f"\0docmill-{os.getuid()}-port-{number}")
            except OSError:
                claim.close()
                raise
        with socket.socket(family) as looking:
            looking.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                looking.bind((self.host, number))
                # Two sockets that only bind can share a port; a listening one cannot.
                looking.listen(1)
            except OSError:
                if claim:
                    claim.close()
                raise
        self._claim = claim

    def release(self) -> None:
        if self._claim:
            self._claim.close()

    @property
    def reached_at(self) -> str:
        """The address at which this machine finds it: the loopback one when it listens on all."""
        if not ipaddress.ip_address(self.host).is_unspecified:
            return self.host
        return "::1" if ":" in self.host else "127.0.0.1"

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it, without a slash at the end."""
        host = f"[{self.reached_at}]" if ":" in self.reached_at else self.reached_at
        return f"http://{host}:{self.number}"


def numeric_address(host: str) -> str:
    """`host` as an address, which is what Granian takes. Raises OSError for an unknown name."""
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(host))
    return socket.gethostbyname(host)
