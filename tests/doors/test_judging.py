"""The fuzz of requests can find something."""

import pytest

from tests.doors.judging import Answer, faults_of, read
from tests.doors.knocking import Knock, dice_of, knocks

pytestmark = pytest.mark.once

ID = {"x-request-id": "the-one-id"}
PROBLEM = ID | {"content-type": "application/problem+json"}
TOLD = (
    b'{"type": "t", "title": "t", "status": 400, "code": "c", "detail": "d", "errors": [],'
    b' "request_id": "the-one-id"}'
)
API = Knock(b"GET", b"/api/batch/jobs")
PAGE = Knock(b"GET", b"/jobs")
NO_HTTP = Knock(b"GET", b"*", is_http=False)


@pytest.mark.parametrize(
    ("knock", "answer", "word"),
    [
        (API, Answer(500, PROBLEM, TOLD), "status 500"),
        (PAGE, Answer(502, ID, b"words"), "status 502"),
        (API, Answer(400, PROBLEM, TOLD.replace(b'"d"', b'"Traceback"')), "internals"),
        (API, Answer(404, ID | {"content-type": "text/html"}, b"<p>"), "text/html"),
        (API, Answer(400, PROBLEM, b"{}"), "has no code"),
        (API, Answer(404, PROBLEM, TOLD), "another status"),
        (API, Answer(400, PROBLEM | {"x-request-id": "two"}, TOLD), "another request id"),
        (PAGE, Answer(404, ID, b""), "without words"),
        (PAGE, Answer(0), "no answer of ours"),
        (API, Answer(400), "no answer of ours"),
        (NO_HTTP, Answer(200), "answers 200"),
    ],
)
def test_what_is_wrong_is_named(knock: Knock, answer: Answer, word: str) -> None:
    assert word in " ".join(faults_of(knock, answer))


@pytest.mark.parametrize(
    ("knock", "answer"),
    [
        (API, Answer(400, PROBLEM, TOLD)),
        (PAGE, Answer(200, ID, b"")),
        (NO_HTTP, Answer(0)),
        (NO_HTTP, Answer(400)),
    ],
)
def test_what_is_right_is_not(knock: Knock, answer: Answer) -> None:
    assert faults_of(knock, answer) == []


def test_an_answer_is_read_as_it_came() -> None:
    raw = b"HTTP/1.1 404 Not Found\r\nX-Request-ID: a\r\nContent-Length: 5\r\n\r\nwords"
    assert read(raw, b"GET") == Answer(404, {"x-request-id": "a", "content-length": "5"}, b"words")
    assert read(b"", b"GET") == Answer(0)


def test_the_same_seed_makes_the_same_requests() -> None:
    def first(seed: int) -> list[bytes]:
        return [bytes(each) for each in knocks(API, dice_of(seed, "x"), 30)]

    assert first(1) == first(1)
    assert first(1) != first(2)
    assert len(set(first(1))) > 20
