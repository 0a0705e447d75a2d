"""Sending a large file over a line that breaks: part by part, going on from what has arrived."""

import base64
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import httpx

from apps.jobs.cli.doors import Away, Refused
from apps.jobs.cli.multipart import FileChanged, exactly

LARGE_BYTES = 8 * 1024 * 1024
"""Files from this size on go in parts; sending a smaller one again costs little."""
PART_BYTES = 4 * 1024 * 1024
SMALLEST_PART_BYTES = 256 * 1024
LARGEST_PART_BYTES = 16 * 1024 * 1024
QUICK_SECONDS = 2.0
"""A part that took less is followed by one twice as long; after one that failed they are halved."""
WAITS_SECONDS = (1, 2, 4, 8, 16, 30, 30, 30)
"""Between tries that all came to nothing; after the last it is given up."""
LATER = frozenset({423, 429, 500, 502, 503, 504})
"""Answers to a part that may turn out otherwise a little later."""
LONGEST_WAIT_SECONDS = 120.0
PART_TYPE = "application/offset+octet-stream"


class InParts:
    """Sends files to `uploads` below the address of `send`; `problem` makes a refusal of an answer,
    and `say` hears of every break."""

    def __init__(
        self,
        *,
        send: Callable[..., httpx.Response],
        problem: Callable[[httpx.Response], Refused],
        say: Callable[[str], None],
    ) -> None:
        self._send = send
        self._problem = problem
        self._say = say
        self._part_bytes = PART_BYTES

    def upload(self, path: Path) -> str | None:
        """The id of the upload that has all of the file; None where it is not taken in parts, and
        has to go whole. Raises Away, Refused, and OSError when it cannot be read or changed."""
        file = _File(path)
        patience = _Patience(self._say)
        while True:
            upload = self._begun(file, patience)
            if upload is None or self._is_sent(file, upload, patience):
                return upload
            patience.lose(f"{path.name} has to be sent anew.")

    def _begun(self, file: "_File", patience: "_Patience") -> str | None:
        """The id of a new upload; None where there is none to be had."""
        name = base64.b64encode(file.path.name.encode(errors="replace")).decode()
        headers = {"Upload-Length": str(file.size), "Upload-Metadata": f"filename {name}"}
        while True:
            try:
                response = self._send("POST", "uploads", headers=headers)
            except Away as away:
                patience.lose(str(away))
                continue
            if response.status_code in LATER:
                patience.lose(str(self._problem(response)), retry_after(response))
            elif response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                raise self._problem(response)
            elif response.status_code == HTTPStatus.CREATED:
                return response.headers.get("Location", "").rpartition("/")[2] or None
            else:
                return None  # sent whole, it is refused or rejected with its reason

    def _is_sent(self, file: "_File", upload: str, patience: "_Patience") -> bool:
        """Whether all of it arrived; not when the upload is gone from there."""
        offset = 0
        while offset < file.size:
            response = self._told(file, upload, offset, patience)
            if response.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
                return False
            reached = response.headers.get("Upload-Offset", "")
            if not reached.isdecimal():
                raise self._problem(response)
            if int(reached) > offset:
                patience.win()
            elif response.is_error:
                patience.lose(str(self._problem(response)))
            offset = int(reached)
        return True

    def _told(
        self, file: "_File", upload: str, offset: int, patience: "_Patience"
    ) -> httpx.Response:
        """What is answered to the next part, or told of the upload after a line that broke."""
        while True:
            try:
                response = self._send_part(file, upload, offset)
            except Away as away:
                self._part_bytes = max(self._part_bytes // 2, SMALLEST_PART_BYTES)
                patience.lose(f"{away} {file.told(offset)} so far; going on.")
                return self._asked(upload, patience)
            if self._is_too_large_for_a_proxy(response):
                self._part_bytes //= 2
            elif response.status_code in LATER:
                patience.lose(str(self._problem(response)), retry_after(response))
            else:
                return response

    def _send_part(self, file: "_File", upload: str, offset: int) -> httpx.Response:
        length = min(self._part_bytes, file.size - offset)
        headers = {
            "Upload-Offset": str(offset),
            "Content-Type": PART_TYPE,
            "Content-Length": str(length),
        }
        file.check()
        started = time.monotonic()
        content = exactly(file.path, length, start=offset)
        response = self._send("PATCH", f"uploads/{upload}", content=content, headers=headers)
        if response.is_success and time.monotonic() - started < QUICK_SECONDS:
            self._part_bytes = min(self._part_bytes * 2, LARGEST_PART_BYTES)
        return response

    def _is_too_large_for_a_proxy(self, response: httpx.Response) -> bool:
        """Whether it would take a shorter part: the server itself speaks of the protocol."""
        is_refused = response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        is_ours = "Tus-Resumable" in response.headers
        return is_refused and not is_ours and self._part_bytes > SMALLEST_PART_BYTES

    def _asked(self, upload: str, patience: "_Patience") -> httpx.Response:
        """What is told of the upload, once somebody answers."""
        while True:
            try:
                response = self._send("HEAD", f"uploads/{upload}")
            except Away as away:
                patience.lose(str(away))
                continue
            if response.status_code not in LATER:
                return response
            patience.lose(str(self._problem(response)), retry_after(response))


class _File:
    """A file as it was when its sending began."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._was = path.stat()
        self.size = self._was.st_size

    def check(self) -> None:
        """Raises FileChanged when it is another by now: half of each is neither."""
        now = self.path.stat()
        if (now.st_size, now.st_mtime_ns) != (self.size, self._was.st_mtime_ns):
            raise FileChanged(f"{self.path} was changed while it was sent.")

    def told(self, offset: int) -> str:
        megabytes = 1024 * 1024
        return f"{offset / megabytes:.1f} of {self.size / megabytes:.1f} MB of {self.path.name}"


class _Patience:
    """How often in a row it came to nothing."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._waits = list(WAITS_SECONDS)

    def win(self) -> None:
        self._waits = list(WAITS_SECONDS)

    def lose(self, why: str, wanted_seconds: float | None = None) -> None:
        """Waits before the next try. Raises Away when there is none."""
        if not self._waits or (wanted_seconds or 0) > LONGEST_WAIT_SECONDS:
            raise Away(why, wanted_seconds)
        wait_seconds = max(self._waits.pop(0), wanted_seconds or 0)
        self._say(f"{why} Trying again in {wait_seconds:g} s.")
        time.sleep(wait_seconds)


def retry_after(response: httpx.Response) -> float | None:
    """Seconds, where the answer tells them."""
    told = response.headers.get("Retry-After", "")
    return float(told) if told.isdecimal() else None
