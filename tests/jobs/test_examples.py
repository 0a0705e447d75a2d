"""The example in every view's description: it tells each method, and works as it stands."""

import shlex
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from django.db.models import F
from django.test import Client
from django.urls import resolve
from rest_framework.test import APIClient

from apps.accounts.models import Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import create_api_key, invite
from apps.core.browsable import blocks
from apps.jobs.api.events import JobEvents, JobListEvents
from apps.jobs.models import BatchFile, BatchJob, FileResult
from apps.notifications.models import Notification
from apps.webhooks.models import Delivery
from apps.webhooks.services import add_endpoint
from tests.batches import owner_of
from tests.jobs.exporting import built
from tests.jobs.forms import SAMPLES, accepted, body, part
from tests.jobs.parts import begun
from tests.jobs.runs import fail_next, read_next
from tests.routes import every_route

pytestmark = [pytest.mark.once, pytest.mark.django_db]


IDS = (
    *("JOB", "FILE", "EXPORT", "UPLOAD", "NOTIFICATION", "ENDPOINT", "DELIVERY"),
    *("MEMBER", "INVITATION", "API_KEY"),
)
PERSONS_ONLY = {"KeyList": {"POST"}, "OrganizationDetail": {"DELETE"}}
"""What no API key may do has no example with one."""


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


def every_example() -> list[Example]:
    """Those that work on any server."""
    views = [view for view in api_views() if view not in STREAMS]
    return [example for view in views for example in examples_of(view)]


def with_ids(path: str, ids: Mapping[str, str]) -> str:
    for name, value in ids.items():
        path = path.replace(f"${name}", value)
    return path


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
    assert {example.verb for example in examples} == taken - PERSONS_ONLY.get(view.__name__, set())
    for example in examples:
        path = with_ids(example.path, dict.fromkeys(IDS, str(uuid.uuid4()))).partition("?")[0]
        assert resolve(path).func.cls is view  # type: ignore[attr-defined]
        if example.path.startswith(("/api/batch", "/api/notifications", "/api/webhooks")):
            assert "Authorization: Bearer $KEY" in example.words


ORDER = (
    "",  # what only reads
    "PATCH notification",
    "POST notifications-read",
    "PATCH notification-preferences",
    "PATCH organization",
    "PATCH member",
    "DELETE member",
    "POST invitation-list",
    "POST invitation-resend",
    "DELETE invitation",
    "DELETE key",
    "POST upload-list",
    "PATCH upload",
    "DELETE upload",
    "POST batch-upload",
    "POST batch-pause",
    "DELETE batch-pause",
    "POST export-list",
    "DELETE export",
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
    "POST webhooks",
    "POST webhook-test",
    "POST webhook-rotate",
    "POST webhook-secret",
    "POST webhook-redeliver",
    "PATCH webhook",
    "DELETE webhook",
)
"""Every example that changes something, each after what makes it possible."""
ENDS_A_RUN = ("POST file-retry", "POST job-retry")
"""Those before which the files that wait have failed."""
STREAMS = (JobEvents, JobListEvents)
"""They want a server that streams: see test_streams.py."""


@pytest.mark.parametrize("view", STREAMS)
def test_a_server_that_cannot_stream_says_so(alice_api: APIClient, view: Any) -> None:
    job = accepted(alice_api, part())
    [example] = examples_of(view)
    answer = alice_api.get(with_ids(example.path, {"JOB": job["id"]}))
    assert (answer.status_code, answer.json()["code"]) == (501, "live.not_streamed")


def test_every_example_works(
    alice_api: APIClient, client: Client, acme: Organization, bob: User
) -> None:
    pdf = (SAMPLES / "hausordnung.pdf").read_bytes()  # it has pictures of its pages
    events = ["batch_job.partial"]
    endpoint, _ = add_endpoint(actor=owner_of(acme), url="https://example.com", events=events)
    job = accepted(alice_api, part(pdf, "a.pdf"), part(b"b", "b.txt"))
    read_next()
    FileResult.objects.update(searchable=F("content"))  # any bytes will do
    fail_next()
    read = str(BatchFile.objects.get(state="succeeded").pk)
    failed = str(BatchFile.objects.get(state="failed").pk)
    invited = invite(actor=owner_of(acme), email="mina@example.org", role=Role.READER)
    ids = {
        "JOB": job["id"],
        "EXPORT": built(alice_api, job["id"])["id"],
        "UPLOAD": begun(alice_api, 100).rpartition("/")[2],
        "MEMBER": str(Membership.objects.get(user=bob, organization=acme).public_id),
        "INVITATION": str(invited.pk),
        "API_KEY": str(create_api_key(organization=acme, user=bob, name="a")[0].pk),
        "NOTIFICATION": str(Notification.objects.get(kind="job_finished").pk),
        "ENDPOINT": str(endpoint.pk),
        "DELIVERY": str(Delivery.objects.get().pk),
    }
    for example in sorted(
        every_example(), key=lambda each: ORDER.index(route_of(each, ids | {"FILE": read}))
    ):
        route = route_of(example, ids | {"FILE": read})
        file = read if route in ("", "POST batch-upload") else failed
        if route in ENDS_A_RUN:
            while BatchFile.objects.filter(state="queued", is_held=False):
                fail_next()
        path = with_ids(example.path, ids | {"FILE": file})
        if "-F" in example.words:
            assert set(fields_of(example)) == {"file"}
            accepted(alice_api)
            BatchFile.objects.exclude(job_id=job["id"]).delete()
            continue
        sent = ("", "application/octet-stream")
        headers = headers_of(example)
        if "--data-binary" in example.words:
            sent = (bytes(10), headers.pop("Content-Type"))
        if "-d" in example.words:
            data = example.words[example.words.index("-d") + 1]
            sent = (with_ids(data, ids), headers.pop("Content-Type"))
        answer = alice_api.generic(example.verb, path, *sent, headers=headers)
        assert answer.status_code in (200, 201, 202, 204), (path, answer.content)
        assert body(answer) or answer.status_code == 204
    assert not BatchJob.objects.filter(pk=job["id"]).exists()


def route_of(example: Example, ids: Mapping[str, str]) -> str:
    match = resolve(with_ids(example.path, ids).partition("?")[0])
    return f"{example.verb} {match.url_name}" if example.verb != "GET" else ""


def headers_of(example: Example) -> dict[str, str]:
    """Those of the protocol of uploads, which the others do without."""
    words = example.words
    told = (words[at + 1].partition(": ") for at, word in enumerate(words) if word == "-H")
    in_base64 = ("$(printf scan.pdf | base64)", "c2Nhbi5wZGY=")
    return {name: text.replace(*in_base64) for name, _, text in told if name != "Authorization"}


def fields_of(example: Example) -> list[str]:
    words = example.words
    return [words[at + 1].partition("=")[0] for at, word in enumerate(words) if word == "-F"]
