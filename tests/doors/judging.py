"""What an answer to an odd request must be, whatever was asked."""

import http.client
import io
import json
import socket
from contextlib import closing
from dataclasses import dataclass, field

from tests.doors.knocking import Knock

ANSWER_SECONDS = 20.0
FORESEEN = frozenset({501, 503})
"""Above 499, and no bug: what is not offered here."""
SECRETS = (b"Traceback", b"site-packages", b"django.db", b"psycopg", b"sqlite3.")


@dataclass
class Answer:
    """`status` is 0 where the connection was closed without one."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_whole: bool = True

    @property
    def is_ours(self) -> bool:
        """Docmill gives every answer an id; one without comes from the web server before it."""
        return "x-request-id" in self.headers

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]


class _Socket:
    """As much of one as an HTTPResponse reads."""

    def __init__(self, sent: bytes) -> None:
        self._sent = sent

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._sent)


def send(port: int, knock: Knock) -> Answer:
    """The answer to it. Raises TimeoutError where none comes."""
    raw = bytes(knock)
    with closing(socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)) as client:
        received = b""
        try:
            client.sendall(raw)
            if (
                not knock.is_http
            ):  # more may be waited for; that this is all is said in no other way
                client.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it did not wait for all of it; what it said before counts
        try:
            while chunk := client.recv(65_536):
                received += chunk
        except ConnectionResetError:
            pass
    return read(received, knock.method)


def read(received: bytes, method: bytes) -> Answer:
    if not received:
        return Answer(0)
    answer = http.client.HTTPResponse(
        _Socket(received),  # type: ignore[arg-type]  # it reads a file of it and no more
        method=method.decode("latin-1"),
    )
    answer.begin()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    try:
        return Answer(answer.status, headers, answer.read())
    except http.client.IncompleteRead as cut:
        return Answer(answer.status, headers, cut.partial, is_whole=False)


def faults_of(knock: Knock, answer: Answer) -> list[str]:
    """What is wrong with the answer; nothing, where all is well."""
    if not answer.is_ours:
        return _faults_of_server(knock, answer)
    found = [] if answer.is_whole or not knock.is_http else ["the answer is cut off"]
    if answer.status >= 500 and answer.status not in FORESEEN:
        found.append(f"status {answer.status}")
    if answer.status >= 400 and any(secret in answer.body for secret in SECRETS):
        found.append("internals are told")
    if answer.status >= 400 and knock.method != b"HEAD":
        found += _faults_of_error(knock, answer)
    return found


def _faults_of_server(knock: Knock, answer: Answer) -> list[str]:
    """Of what the web server said by itself, or did not say."""
    if knock.is_http:
        return [f"no answer of ours, status {answer.status}"]
    if answer.status and not 400 <= answer.status < 500 and answer.status != 505:
        return [f"the web server answers {answer.status}"]
    return []


def _faults_of_error(knock: Knock, answer: Answer) -> list[str]:
    path = knock.target.partition(b"?")[0]
    if not (path.startswith(b"/api/") or path == b"/api"):
        return [] if answer.body else ["an error without words"]
    if answer.media_type == "text/html" and _asks_for_pages(knock):
        return []
    if answer.media_type != "application/problem+json":
        return [f"an error of the API as {answer.media_type!r}"]
    told = json.loads(answer.body)
    missing = {"type", "title", "status", "code", "detail", "errors", "request_id"} - set(told)
    found = [f"the problem has no {name}" for name in sorted(missing)]
    if told.get("status") != answer.status:
        found.append("the problem tells another status")
    if told.get("request_id") != answer.headers["x-request-id"]:
        found.append("the problem tells another request id")
    return found


def _asks_for_pages(knock: Knock) -> bool:
    accepts = b"".join(value for name, value in knock.headers if name.lower() == b"accept")
    return b"text/html" in accepts or b"format=api" in knock.target
