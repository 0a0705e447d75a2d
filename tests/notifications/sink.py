"""A mail server for tests: takes mails over a real socket; says no, hangs, breaks off as told."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any


class Sink(socketserver.ThreadingTCPServer):
    """`mails` are those it took, with their recipients. `answers` are what it says to commands in
    place of yes: ("RCPT", "550 no"). It waits for `may_greet` before it greets, and once it has a
    whole mail, for `may_take` before it says so."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.mails: list[tuple[list[str], EmailMessage]] = []
        self.answers: list[tuple[str, str]] = []
        self.greeted = 0
        self.may_greet, self.may_take = threading.Event(), threading.Event()
        self.may_greet.set()
        self.may_take.set()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server_address[1]}"

    @property
    def recipients(self) -> list[list[str]]:
        return [to for to, _ in self.mails]

    def answer_to(self, verb: str) -> str:
        for known, answer in self.answers:
            if known == verb:
                self.answers.remove((known, answer))
                return answer
        return "354 go on" if verb == "DATA" else "250 yes"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who breaks off is what some tests are about."""


class Conversation(socketserver.StreamRequestHandler):
    server: Sink

    def handle(self) -> None:
        to: list[str] = []
        self.server.greeted += 1
        self.server.may_greet.wait(30)
        self._say("220 sink")
        while line := self.rfile.readline().decode().strip():
            verb = line[:4].upper()
            answer = self.server.answer_to(verb)
            if answer == "break off":
                return
            self._say(answer)
            if verb == "QUIT":
                return
            if verb == "RCPT" and answer.startswith("250"):
                to.append(line.partition("<")[2].rstrip(">"))
            if verb == "DATA" and answer.startswith("354"):
                if not self._take(to):
                    return
                to = []

    def _take(self, to: list[str]) -> bool:
        """Whether the conversation goes on."""
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        mail = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(mail, EmailMessage)
        answer = self.server.answer_to("TAKEN")
        if not answer.startswith(("4", "5")):
            self.server.mails.append((to, mail))
        self.server.may_take.wait(30)
        if answer != "break off":
            self._say(answer)
        return answer != "break off"

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def listening() -> Iterator[Sink]:
    with Sink() as sink:
        thread = threading.Thread(target=sink.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield sink
        sink.may_greet.set()
        sink.may_take.set()
        sink.shutdown()
        thread.join()
