"""The door into an installation elsewhere: its REST API, with an API key."""

import logging
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import httpx

from apps.jobs.cli.doors import Away, Json, Order, Refused
from apps.jobs.cli.in_parts import LARGE_BYTES, InParts, retry_after
from apps.jobs.cli.multipart import Form

READ_TIMEOUT = httpx.Timeout(connect=10, read=30, write=30, pool=10)
UPLOAD_TIMEOUT = httpx.Timeout(connect=10, read=180, write=60, pool=10)
"""After the last byte the server still syncs up to 2.5 GB to its disk."""
RETRY_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
"""For room under a limit of the other installation; a longer one is told and not waited for."""
SLOWEST_POLL_SECONDS = 5.0
PAGE = 100
AWAY = frozenset({429, 500, 502, 503, 504})
"""Answers to a question that may turn out otherwise a little later."""
TOO_LARGE = "export.too_large"
BEING_BUILT = frozenset({"queued", "running", "retry_wait"})
DOWNLOAD_TRIES = 5
GATEWAY = frozenset({502, 503, 504})
"""What a proxy says when the server behind it is gone: nobody knows whether the files arrived."""


class RemoteDoor:
    """Asks the installation at `url` with `key`; `say` hears of a connection that broke."""

    def __init__(self, url: str, key: str, *, say: Callable[[str], None]) -> None:
        self.url = url.rstrip("/")
        self.address = f"--url {self.url}"
        self._say = say
        # A line for every look at a job would bury what is worth reading.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._http = httpx.Client(
            base_url=f"{self.url}/api/batch/",
            headers={"Authorization": f"Bearer {key}", "Accept": "application/json"},
            timeout=READ_TIMEOUT,
        )

    def submit(self, paths: Sequence[Path], order: Order) -> Json:
        """The new job. Large files go in parts first, which outlives a line that breaks often.
        After a connection that breaks, and a limit that is soon over, the rest is tried once more
        under the same Idempotency-Key, so that the files cannot be submitted twice."""
        key = str(uuid.uuid4())
        paths, order = self._send_large(paths, order)
        try:
            return self._upload(paths, order, key)
        except Away as broken:
            self._say(f"{broken} Trying once more.")
            wait_seconds = broken.retry_after or RETRY_SECONDS
        time.sleep(wait_seconds)
        return self._upload(paths, order, key)

    def job(self, job_id: UUID | str) -> Json:
        return self._get(f"jobs/{job_id}")

    def files(self, job_id: UUID | str) -> list[Json]:
        return list(self._pages(f"jobs/{job_id}/files"))

    def jobs(self, states: Sequence[str], limit: int) -> list[Json]:
        page = self._get("jobs", {"state": list(states), "limit": limit})
        rows: list[Json] = page["results"]
        return rows

    def act(self, job_id: UUID | str, verb: str, fields: Json) -> Json:
        if not verb:
            return self._ask("PATCH", f"jobs/{job_id}", json=fields)
        return self._ask("POST", f"jobs/{job_id}/{verb}", json=fields)

    def fetch(self, job_id: UUID | str, made: str, sink: BinaryIO) -> None:
        """What is too large to be made at once is built there first, and then fetched."""
        try:
            self._download(f"jobs/{job_id}/results.{made}", sink)
        except Refused as refused:
            if refused.problem.get("code") != TOO_LARGE:
                raise
            export = self._built({"format": made, "jobs": [str(job_id)]})
            self._download(f"exports/{export['id']}/content", sink)

    def has_worker(self, job: Json) -> bool:
        return True  # nobody outside can know

    def pause_seconds(self, waited_seconds: float, jobs: int) -> float:
        """Quick at first; in the long run within the API's hourly limit."""
        return min(SLOWEST_POLL_SECONDS, 1.0 + waited_seconds / 30) * jobs

    def close(self) -> None:
        self._http.close()

    def _send_large(self, paths: Sequence[Path], order: Order) -> tuple[list[Path], Order]:
        """Those of `paths` that are still to be sent, and the order with the others in it."""
        in_parts = InParts(send=self._send, problem=self._problem, say=self._say)
        rest: list[Path] = []
        sent: list[str] = []
        for path in paths:
            is_large = path.stat().st_size >= LARGE_BYTES
            upload = in_parts.upload(path) if is_large else None
            rest += [] if upload else [path]
            sent += [upload] if upload else []
        return rest, Order(order.fields | {"upload_ids": ",".join(sent)}) if sent else order

    def _upload(self, paths: Sequence[Path], order: Order, key: str) -> Json:
        form = Form(order.fields, paths, boundary=uuid.uuid4().hex)
        headers = {
            "Content-Type": form.content_type,
            "Content-Length": str(form.length),
            "Idempotency-Key": key,
        }
        response = self._send(
            "POST", "upload", content=iter(form), headers=headers, timeout=UPLOAD_TIMEOUT
        )
        if response.status_code in GATEWAY and _json(response) is None:
            raise Away(str(self._problem(response)))
        wait_seconds = retry_after(response)
        is_limited = response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        if is_limited and wait_seconds and wait_seconds <= LONGEST_WAIT_SECONDS:
            raise Away(str(self._problem(response)), wait_seconds)
        return self._answer(response)

    def _built(self, order: Json) -> Json:
        """The export, once it is there. Raises Refused when it comes to nothing."""
        export, waited = self._ask("POST", "exports", json=order), 0.0
        if export["state"] in BEING_BUILT:
            self._say(
                "It is built there first, which takes a worker of the lane export; Ctrl-C ends the "
                "waiting and not the building."
            )
        while export["state"] in BEING_BUILT:
            time.sleep(pause := self.pause_seconds(waited, 1))
            waited += pause
            export = self._get(f"exports/{export['id']}")
        if export["state"] != "ready":
            detail = f"The export is {export['state']}."
            raise Refused(
                {"code": "export.not_ready", "errors": []} | (export["error"] or {"detail": detail})
            )
        return export

    def _download(self, path: str, sink: BinaryIO) -> None:
        """All of it into `sink`. What broke off goes on where it was, if it can, or begins anew."""
        etag, reason = "", ""
        for _ in range(DOWNLOAD_TRIES):
            headers = {"Range": f"bytes={sink.tell()}-", "If-Range": etag} if etag else {}
            try:
                # It may lie elsewhere, where our key does not go along.
                with self._http.stream(
                    "GET", path, headers=headers, follow_redirects=True
                ) as response:
                    self._check(response)
                    told = _strong([*response.history, response][0].headers.get("ETag", ""))
                    is_part = response.status_code == HTTPStatus.PARTIAL_CONTENT
                    if is_part and told != etag:  # where it lies nobody looks at If-Range
                        etag, reason = "", "it has changed"
                        continue
                    if not is_part:
                        sink.seek(0)
                        sink.truncate()
                    etag = told
                    for chunk in response.iter_bytes():
                        sink.write(chunk)
                    return
            except httpx.TransportError as error:
                reason = _reason(error)
                self._say(f"The download broke off ({reason}). Trying again.")
                time.sleep(RETRY_SECONDS)
        raise Away(f"{self.url} does not send all of it ({reason}).")

    def _check(self, response: httpx.Response) -> None:
        """Raises Refused or Away unless there is something to read."""
        if response.is_success:
            return
        response.read()
        if response.status_code in AWAY:
            raise Away(str(self._problem(response)), retry_after(response))
        self._answer(response)

    def _pages(self, path: str) -> Iterator[Json]:
        parameters: Json = {"limit": PAGE}
        while True:
            page = self._get(path, parameters)
            yield from page["results"]
            if not page["next"]:
                return
            # Only its cursor: behind a proxy the server may not know its own address.
            parameters = dict(parse_qsl(urlsplit(page["next"]).query))

    def _get(self, path: str, parameters: Json | None = None) -> Json:
        return self._ask("GET", path, params=parameters or {})

    def _ask(self, method: str, path: str, **how: Any) -> Json:
        response = self._send(method, path, **how)
        if response.status_code in AWAY:
            raise Away(str(self._problem(response)), retry_after(response))
        return self._answer(response)

    def _send(self, method: str, path: str, **how: Any) -> httpx.Response:
        """Raises Refused when trying again would not help, Away otherwise."""
        try:
            return self._http.request(method, path, **how)
        except httpx.TransportError as error:
            if tls := _tls_error(error):
                raise _refusal("client.tls", self._about_tls(tls)) from error
            if isinstance(error, httpx.UnsupportedProtocol | httpx.ProxyError):
                raise _refusal("client.connection", f"{self.url}: {error}") from error
            raise Away(f"{self.url} does not answer ({_reason(error)}).") from error

    def _answer(self, response: httpx.Response) -> Json:
        if response.is_redirect:
            target = response.headers.get("Location", "elsewhere")
            detail = f"{self.url} redirects to {target}. Give the address there with --url."
            raise _refusal("client.redirect", detail)
        if not response.is_success:
            raise self._problem(response)
        answer = _json(response)
        if answer is None:
            raise _refusal("client.not_docmill", f"What answers at {self.url} is not Docmill.")
        return answer

    def _problem(self, response: httpx.Response) -> Refused:
        problem = _json(response)
        if problem is not None and "code" in problem:
            return Refused(problem)
        status = f"{response.status_code} {response.reason_phrase}".strip()
        return _refusal("client.unexpected", f"{self.url} answered {status}.", response.status_code)

    def _about_tls(self, error: ssl.SSLError) -> str:
        if isinstance(error, ssl.SSLCertVerificationError):
            reason = f"The certificate of {self.url} is not trusted: {error.verify_message}."
            return f"{reason} A certificate authority of your own is named by SSL_CERT_FILE."
        reason = error.reason.replace("_", " ").lower() if error.reason else str(error)
        return f"There is no TLS with {self.url}: {reason}."


def _refusal(code: str, detail: str, status: int = 0) -> Refused:
    """A refusal in the shape of the API's own, for what never came to an answer of the API."""
    return Refused({"code": code, "status": status, "detail": detail, "errors": []})


def _json(response: httpx.Response) -> Json | None:
    """The object in the answer; None when there is something else in it."""
    try:
        answer = response.json()
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _strong(etag: str) -> str:
    """`etag` where parts of the same can be put together by it, else empty."""
    return etag if etag.startswith('"') else ""


def _tls_error(error: BaseException) -> ssl.SSLError | None:
    """The failed handshake behind `error`, if there is one."""
    seen: BaseException | None = error
    while seen is not None:
        # A connection that ends without a goodbye is a broken one, nothing more.
        if isinstance(seen, ssl.SSLError) and not isinstance(seen, ssl.SSLEOFError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _reason(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return str(error).rstrip(".") or type(error).__name__
