"""What is asked for, and how often each in the mix."""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.server.bare import ALONE, BEHIND
from benchmarks.server.filling import Person
from benchmarks.server.load import Ask

BOUNDARY = "----docmill"
TEXT = "The ferry leaves at nine, and comes back when the tide allows it.\n" * 60
FILES = 2
"""Of a submission, each of 4 kB."""


@dataclass(frozen=True)
class Case:
    """`share` of the mix in percent, 0 for what is not in it."""

    name: str
    request: Callable[[Person], bytes]
    share: int = 0


class Cases:
    """Requests of `people` in turn. `etags` are those of each one's bell."""

    def __init__(self, people: list[Person], etags: list[str]) -> None:
        self.people = people
        self.etags = dict(zip((each.key for each in people), etags, strict=True))
        self.chance = random.Random(9)
        self.all = [
            Case("bare view", lambda _: get(ALONE)),
            Case("bare view behind the middleware", lambda _: get(BEHIND)),
            Case("job list, API", lambda who: by_key(who, "/api/batch/jobs"), 20),
            Case("job, API", self._job, 30),
            Case("notifications, API", lambda who: by_key(who, "/api/notifications"), 5),
            Case("bell, changed", lambda who: by_cookie(who, "/notifications/badge"), 5),
            Case("bell, 304", self._unchanged, 25),
            Case("page of jobs", lambda who: by_cookie(who, "/jobs"), 10),
            Case("submit 2 files", submission, 5),
        ]

    def asking(self, case: Case) -> Ask:
        """Only for `case`."""
        people = self.people
        return lambda number: (case.name, case.request(people[number % len(people)]))

    def mixed(self) -> Ask:
        cases = [case for case in self.all if case.share]
        shares = [case.share for case in cases]
        assert sum(shares) == 100

        def ask(number: int) -> tuple[str, bytes]:
            [case] = self.chance.choices(cases, shares)
            return case.name, case.request(self.people[number % len(self.people)])

        return ask

    def _job(self, who: Person) -> bytes:
        return by_key(who, f"/api/batch/jobs/{self.chance.choice(who.jobs)}")

    def _unchanged(self, who: Person) -> bytes:
        etag = f"If-None-Match: {self.etags[who.key]}"
        return by_cookie(who, "/notifications/badge", etag)


def get(path: str, *headers: str) -> bytes:
    lines = (f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", "")
    return "\r\n".join(lines).encode()


def by_key(who: Person, path: str) -> bytes:
    return get(path, f"Authorization: Bearer {who.key}")


def by_cookie(who: Person, path: str, *headers: str) -> bytes:
    return get(path, f"Cookie: {who.cookie}", *headers)


def submission(who: Person) -> bytes:
    """Files that nobody has sent before, under a key of their own."""
    parts = []
    for number in range(FILES):
        name = f'name="file"; filename="ferry-{number}.txt"'
        head = f"Content-Disposition: form-data; {name}\r\nContent-Type: text/plain\r\n\r\n"
        parts.append(f"--{BOUNDARY}\r\n{head}{uuid.uuid4().hex}\n{TEXT}\r\n")
    body = "".join((*parts, f"--{BOUNDARY}--\r\n")).encode()
    lines = (
        "POST /api/batch/upload HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {who.key}",
        f"Idempotency-Key: {uuid.uuid4()}",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
        f"Content-Length: {len(body)}",
        "",
        "",
    )
    return "\r\n".join(lines).encode() + body
