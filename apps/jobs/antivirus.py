"""Asks ClamAV about a file, where CLAMAV_URL names a clamd: its INSTREAM protocol, clamd(8)."""

import contextlib
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from apps.core.metrics import external_call
from apps.processors.errors import BadDocument, Unavailable

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 120.0  # what clamd itself takes for one file by default
PIECE_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 4096
LENGTH_BYTES = 4
PORT = 3310


class Unreachable(Exception):
    """The scanner does not answer, or not with what it should."""


class TooLong(Exception):
    """The file is longer than the scanner's StreamMaxLength."""


def check(path: Path) -> None:
    """Returns when there is nothing against reading the file at `path`, or no scanner is in use.

    Raises BadDocument "document.infected", and "document.too_large" for what the scanner takes
    not; Unavailable when it cannot be asked. With CLAMAV_FAIL_OPEN the last two are only logged.
    """
    if not settings.CLAMAV_URL:
        return
    try:
        with external_call("antivirus"):
            found = _scanned(path)
    except (Unreachable, TooLong) as error:
        if settings.CLAMAV_FAIL_OPEN:
            logger.warning("%s is read without a virus scan: %s", path.name, error)
            return
        if isinstance(error, TooLong):
            detail = "The virus scanner takes no file of this size."
            raise BadDocument("document.too_large", detail) from error
        logger.error("the virus scanner cannot be asked: %s", error)
        detail = "The virus scanner cannot be reached."
        raise Unavailable("processor.unavailable", detail) from error
    if found:
        raise BadDocument("document.infected", f"ClamAV found {found}.")


def ping() -> str:
    """The scanner's version, as "ClamAV 1.4.6/27800/..."; "" when none is in use.

    Raises Unavailable when it does not answer.
    """
    if not settings.CLAMAV_URL:
        return ""
    try:
        with _connected() as clamd:
            clamd.sendall(b"zVERSION\0")
            return _answer(clamd)
    except Unreachable as error:
        raise Unavailable("processor.unavailable", f"ClamAV does not answer: {error}.") from error


def _scanned(path: Path) -> str:
    """What was found in the file, by the signature's name; "" for nothing."""
    with _connected() as clamd:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            _send(clamd, path)  # it may have its answer before the end, and hang up
        answer = _answer(clamd)
    if answer.endswith(" FOUND"):
        return answer.removeprefix("stream: ").removesuffix(" FOUND")
    if "size limit exceeded" in answer:
        raise TooLong(answer)
    if answer != "stream: OK":
        raise Unreachable(answer or "it hung up")
    return ""


@contextmanager
def _connected() -> Iterator[socket.socket]:
    """A connection to CLAMAV_URL. Whatever fails on it is told as Unreachable."""
    try:
        with _opened(settings.CLAMAV_URL) as clamd:
            clamd.settimeout(ANSWER_SECONDS)
            yield clamd
    except (OSError, ValueError) as error:
        raise Unreachable(str(error)) from error


def parse_address(address: str) -> tuple[str, int] | str:
    """Host and port, or the path of a socket. Raises ValueError."""
    url = urlsplit(address)
    if url.scheme == "tcp" and url.hostname:
        return url.hostname, url.port or PORT
    if url.scheme == "unix" and url.path:
        return url.path
    raise ValueError("it is tcp://host:3310 or unix:/path of a socket")


def _opened(address: str) -> socket.socket:
    """Raises OSError and ValueError."""
    place = parse_address(address)
    if isinstance(place, tuple):
        return socket.create_connection(place, CONNECT_SECONDS)
    clamd = socket.socket(socket.AF_UNIX)
    try:
        clamd.settimeout(CONNECT_SECONDS)
        clamd.connect(place)
    except OSError:
        clamd.close()
        raise
    return clamd


def _send(clamd: socket.socket, path: Path) -> None:
    clamd.sendall(b"zINSTREAM\0")
    with path.open("rb") as content:
        while piece := content.read(PIECE_BYTES):
            clamd.sendall(len(piece).to_bytes(LENGTH_BYTES) + piece)
    clamd.sendall(bytes(LENGTH_BYTES))


def _answer(clamd: socket.socket) -> str:
    """Up to the NUL that ends it."""
    answer = b""
    while not answer.endswith(b"\0") and len(answer) < MAX_ANSWER_BYTES:
        piece = clamd.recv(MAX_ANSWER_BYTES)
        if not piece:
            break
        answer += piece
    return answer.rstrip(b"\0\n").decode(errors="replace")
