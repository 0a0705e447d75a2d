"""The example in every view's description: it tells each method, and works as it stands."""

import shlex
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from django.db.models import F
from django.test import Client
from django.urls import resolve
from rest_framework.test import APIClient

from apps.accounts.models import User
from apps.core.browsable import blocks
from apps.jobs.models import BatchFile, BatchJob, FileResult
from tests.jobs.forms import SAMPLES, accepted, body, part
from tests.jobs.runs import fail_next, read_next
from tests.routes import every_route

pytestmark = [pytest.mark.once, pytest.mark.django_db]


class Example(NamedTuple):
    view: Any
    verb: str
    path: str
    words: list[str]


def examples_of(view: Any) -> Iterator[Example]:
    for block in blocks(view().get_view_description()):
        if block.is_code:
            words = shlex.split(block.text)
            assert words[0] == "curl"
            verb = "POST" if "-F" in words else "GET"
            if "-X" in words:
                verb = words[words.index("-X") + 1]
            (address,) = (word for word in words if word.startswith("$DOCMILL/"))
            yield Example(view, verb, address.removeprefix("$DOCMILL"), words)


def api_views() -> list[Any]:
    found = {
        getattr(pattern.callback, "cls", None)
        for route, pattern in every_route().items()
        if route.startswith("api")
    }
    return sorted(found - {None}, key=lambda view: str(view.__name__))


def with_ids(path: str, job: str, file: str) -> str:
    return path.replace("$JOB", job).replace("$FILE", file)


@pytest.mark.once
@pytest.mark.parametrize("view", api_views(), ids=lambda view: view.__name__)
def test_every_view_says_what_it_is_and_shows_every_method(view: Any) -> None:
    first, *_ = blocks(view().get_view_description())
    assert not first.is_code
    assert first.text.endswith(".")
    examples = list(examples_of(view))
    taken = {
        verb for verb in ("GET", "POST", "PUT", "PATCH", "DELETE") if hasattr(view, verb.lower())
    }
    assert {example.verb for example in examples} == taken
    for example in examples:
        path = with_ids(example.path, str(uuid.uuid4()), str(uuid.uuid4())).partition("?")[0]
        assert resolve(path).func.cls is view  # type: ignore[attr-defined]
        if example.path.startswith("/api/batch"):
            assert "Authorization: Bearer $KEY" in example.words


ORDER = (
    "",  # what only reads
    "POST batch-upload",
    "POST batch-pause",
    "DELETE batch-pause",
    "POST job-discard",
    "POST file-requeue",
    "POST file-retry",
    "PATCH file",
    "POST file-pause",
    "POST file-resume",
    "POST file-cancel",
    "POST job-requeue",
    "PATCH job",
    "POST job-pause",
    "POST job-resume",
    "POST job-retry",
    "POST job-cancel",
    "DELETE job",
)
"""Every example that changes something, each after what makes it possible."""
ENDS_A_RUN = ("POST file-retry", "POST job-retry")
"""Those before which the files that wait have failed."""


def test_every_example_works(alice_api: APIClient, client: Client, bob: User) -> None:
    pdf = (SAMPLES / "hausordnung.pdf").read_bytes()  # it has pictures of its pages
    job = accepted(alice_api, part(pdf, "a.pdf"), part(b"b", "b.txt"))
    read_next()
    FileResult.objects.update(searchable=F("content"))  # any bytes will do
    fail_next()
    read = str(BatchFile.objects.get(state="succeeded").pk)
    failed = str(BatchFile.objects.get(state="failed").pk)
    every = [example for view in api_views() for example in examples_of(view)]
    for example in sorted(every, key=lambda each: ORDER.index(route_of(each, job, read))):
        route = route_of(example, job, read)
        file = read if route in ("", "POST batch-upload") else failed
        if route in ENDS_A_RUN:
            while BatchFile.objects.filter(state="queued", is_held=False):
                fail_next()
        path = with_ids(example.path, job["id"], file)
        if "-F" in example.words:
            assert set(fields_of(example)) == {"file"}
            accepted(alice_api)
            BatchFile.objects.exclude(job_id=job["id"]).delete()
            continue
        sent = ("", "application/octet-stream")
        if "-d" in example.words:
            assert "Content-Type: application/json" in example.words
            sent = (example.words[example.words.index("-d") + 1], "application/json")
        answer = alice_api.generic(example.verb, path, *sent)
        assert answer.status_code in (200, 204), (path, answer.content)
        assert body(answer) or answer.status_code == 204
    assert not BatchJob.objects.filter(pk=job["id"]).exists()


def route_of(example: Example, job: dict[str, Any], file: str) -> str:
    match = resolve(with_ids(example.path, job["id"], file).partition("?")[0])
    return f"{example.verb} {match.url_name}" if example.verb != "GET" else ""


def fields_of(example: Example) -> list[str]:
    words = example.words
    return [words[at + 1].partition("=")[0] for at, word in enumerate(words) if word == "-F"]
