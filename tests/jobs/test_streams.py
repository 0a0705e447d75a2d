"""Events through the real web server, with Redis and without: who hears what, and for how long."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import ApiKey, Membership, Organization, User
from apps.accounts.services import create_api_key
from apps.jobs.models import BatchJob
from apps.jobs.services import delete_job, pause_job, retry_job
from tests.batches import claimed, owner_of, submit
from tests.jobs.listening import Event, Listener
from tests.jobs.runs import fail_next, read_next
from tests.jobs.serving import Web
from tests.processes import eventually
from tests.servers import Valkey

pytestmark = pytest.mark.django_db(transaction=True)

MOST = 4
SOON = 1.0
"""Seconds; a look without Redis may take as long by itself, so what is sooner was rung for."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[Web]:
    root = tmp_path_factory.mktemp("streams")
    env = {"LIVE_RECHECK_SECONDS": "1", "LIVE_STREAMS_PER_USER": str(MOST)}
    web = Web(log=root / "web.log", data_dir=root / "data", env=env)
    yield web
    web.close()


@pytest.fixture
def listen(server: Web) -> Iterator[Callable[..., Listener]]:
    server.wait_until_ready()
    opened: list[Listener] = []

    def start(path: str, key: str, **more: Any) -> Listener:
        listener = Listener(server.port, f"/api/batch{path}", key, **more)
        opened.append(listener)
        return listener

    yield start
    for listener in opened:
        listener.close()
    server.assert_no_trouble()


def key_of(user: User, organization: Organization) -> str:
    return create_api_key(organization=organization, user=user, name="events")[1]


@pytest.fixture
def alices(alice: User, acme: Organization) -> str:
    return key_of(alice, acme)


def shown(server: Web, key: str, job: BatchJob) -> dict[str, Any]:
    server.key = key
    status, _, body = server.ask("GET", f"/api/batch/jobs/{job.pk}")
    assert status == 200
    answer: dict[str, Any] = json.loads(body)
    return answer


def assert_same(event: Event, answer: dict[str, Any]) -> None:
    assert event.identifier == str(answer["revision"])
    same = {name: answer[name] for name in event.data}
    # Seconds to go become fewer by themselves.
    assert event.data.pop("eta_seconds") == pytest.approx(same.pop("eta_seconds"), abs=2)
    assert event.data == same


def revision_of(job: BatchJob) -> int:
    job.refresh_from_db()
    return job.revision


@pytest.mark.once
@pytest.mark.parametrize("last", ["9" * 32, "9" * 6000, "99", "-1"])
def test_an_id_that_no_event_had_silences_nothing(
    listen: Callable[..., Listener], acme: Organization, alices: str, last: str
) -> None:
    job = submit(acme, "one")
    listener = listen(f"/jobs/{job.pk}/events", alices, last=last)
    assert listener.until(revision_of(job))


def test_every_member_hears_the_same_numbers_and_they_only_rise(
    server: Web, listen: Callable[..., Listener], acme: Organization, alices: str, bob: User
) -> None:
    job = submit(acme, "one", "two", "three")
    bobs = key_of(bob, acme)
    listeners = [listen(f"/jobs/{job.pk}/events", key) for key in (alices, bobs)]
    of_list = listen("/jobs/events", bobs)
    for step in (read_next, fail_next, claimed):
        step()
        revision = revision_of(job)
        for listener in listeners:
            assert_same(listener.until(revision)[-1], shown(server, alices, job))
    pause_job(actor=owner_of(acme), job=job)
    seen = [event.data for event in listeners[0].until(revision_of(job))]
    assert seen[-1]["state"] == "paused"
    told = of_list.next()
    while told.data["jobs"][-1]["state"] != "paused":
        following = of_list.next()
        assert following.data["jobs"][0]["revision"] > told.data["jobs"][0]["revision"]
        assert following.data["jobs"][0]["progress"] >= told.data["jobs"][0]["progress"]
        told = following
    assert told.data["jobs"] == [seen[-1]]


@pytest.mark.once
def test_the_end_is_told_and_ends_the_stream(
    listen: Callable[..., Listener], acme: Organization, alices: str
) -> None:
    job = submit(acme, "one")
    path = f"/jobs/{job.pk}/events"
    listener = listen(path, alices)
    assert listener.next().data["state"] == "queued"
    read_next()
    last = listener.until(revision_of(job))[-1]
    assert (last.data["state"], last.data["progress"]) == ("succeeded", 1.0)
    assert listener.ends()
    assert listen(path, alices, last=last.identifier).status == 204
    again = listen(path, alices)
    assert again.next().data == last.data
    assert again.ends()


def test_who_comes_back_hears_at_once_what_they_missed_and_no_more(
    listen: Callable[..., Listener], acme: Organization, alices: str
) -> None:
    job = submit(acme, "one", "two")
    path = f"/jobs/{job.pk}/events"
    first = listen(path, alices)
    known = first.next().identifier
    listed = listen("/jobs/events", alices)
    mark = listed.next().identifier
    first.close()
    listed.close()
    nothing_new = listen(path, alices, last=known)
    same_list = listen("/jobs/events", alices, last=mark)
    assert nothing_new.is_silent(1.5)
    assert same_list.is_silent(0.1)
    nothing_new.close()
    same_list.close()
    fail_next()
    assert listen(path, alices, last=known).next(seconds=SOON).data["counts"]["failed"] == 1
    [missed] = listen("/jobs/events", alices, last=mark).next(seconds=SOON).data["jobs"]
    assert missed["counts"]["failed"] == 1


@pytest.mark.once
def test_events_come_sooner_through_redis_and_without_it_too(
    server: Web,
    listen: Callable[..., Listener],
    acme: Organization,
    alices: str,
    valkey: Valkey,
) -> None:
    job = submit(acme, *"abcdefghij")
    listener = listen(f"/jobs/{job.pk}/events", alices)
    listener.next()

    def delay() -> float:
        began = time.monotonic()
        fail_next()
        return listener.until(revision_of(job))[-1].at - began

    eventually(lambda: delay() < 0.9)  # once the server has subscribed
    with_redis = min(delay() for _ in range(3))
    assert with_redis < SOON
    valkey.stop()
    assert delay() < 3 * SOON
    assert delay() < 3 * SOON
    valkey.start()
    assert delay() < 3 * SOON
    assert_same(listener.last, shown(server, alices, job))


@pytest.mark.once
def test_who_may_read_no_more_hears_no_more(
    listen: Callable[..., Listener], acme: Organization, alices: str, bob: User
) -> None:
    job = submit(acme, "one")
    bobs = key_of(bob, acme)
    stays = listen(f"/jobs/{job.pk}/events", alices)
    removed = [listen(path, bobs) for path in (f"/jobs/{job.pk}/events", "/jobs/events")]
    for listener in (stays, *removed):
        listener.next()
    Membership.objects.filter(user=bob, organization=acme).delete()
    assert all(listener.ends(seconds=5) for listener in removed)
    assert listen(f"/jobs/{job.pk}/events", bobs).problem["code"] == "auth.not_a_member"
    fail_next()
    stays.until(revision_of(job))
    ApiKey.objects.filter(user=bob).delete()


@pytest.mark.once
def test_a_revoked_key_hears_no_more(
    listen: Callable[..., Listener], acme: Organization, alices: str
) -> None:
    listener = listen("/jobs/events", alices)
    assert listener.next(still=True).kind == "still"
    ApiKey.objects.update(revoked_at=timezone.now())
    assert listener.ends(seconds=5)


@pytest.mark.once
def test_outside_the_organization_there_is_no_such_stream(
    listen: Callable[..., Listener],
    acme: Organization,
    alices: str,
    other: Organization,
    charlie: User,
) -> None:
    job = submit(acme, "one")
    charlies = key_of(charlie, other)
    refused = listen(f"/jobs/{job.pk}/events", charlies)
    assert (refused.status, refused.problem["code"]) == (404, "request.not_found")
    outside, inside = listen("/jobs/events", charlies), listen("/jobs/events", alices)
    inside.next()
    fail_next()
    inside.next()
    assert outside.is_silent(1.5)


@pytest.mark.once
def test_one_user_has_only_so_many_open(
    listen: Callable[..., Listener], acme: Organization, alices: str, bob: User
) -> None:
    opened = [listen("/jobs/events", alices) for _ in range(MOST)]
    refused = listen("/jobs/events", alices)
    assert (refused.status, refused.answer.getheader("Retry-After")) == (429, "30")
    assert refused.problem["code"] == "live.too_many"
    assert listen("/jobs/events", key_of(bob, acme)).status == 200
    opened[0].close()
    eventually(lambda: listen("/jobs/events", alices).status == 200, seconds=5)


@pytest.mark.once
def test_what_proxies_and_browsers_are_told(
    server: Web, listen: Callable[..., Listener], acme: Organization, alices: str
) -> None:
    job = submit(acme, "one")
    path = f"/api/batch/jobs/{job.pk}/events"
    listener = listen(f"/jobs/{job.pk}/events", alices)
    headers = {name.lower(): value for name, value in listener.answer.getheaders()}
    assert headers["content-type"] == "text/event-stream"
    assert headers["cache-control"] == "no-store, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in headers
    assert listener.next(still=True).kind == "still"
    server.key = alices
    status, told, body = server.ask("HEAD", path)
    assert (status, told["content-type"], body) == (200, "text/event-stream", b"")
    assert server.ask("POST", path)[0] == 405
    assert server.ask("OPTIONS", path)[0] == 200
    assert server.ask("GET", f"{path}?unknown=1")[0] == 400


@pytest.mark.once
def test_a_deleted_job_is_gone_and_a_new_run_is_told_of(
    listen: Callable[..., Listener], acme: Organization, alices: str
) -> None:
    of_list = listen("/jobs/events", alices)
    of_list.next(still=True)
    job = submit(acme, "one")
    fail_next()
    told: dict[str, Any] = {}
    while told.get("state") != "failed":
        [told] = of_list.next().data["jobs"]
    retry_job(actor=owner_of(acme), job=job)
    [told] = of_list.next().data["jobs"]
    assert (told["run"], told["state"], told["progress"]) == (2, "queued", 0.0)
    listener = listen(f"/jobs/{job.pk}/events", alices)
    listener.next()
    read_next()
    assert listener.ends()
    while told["state"] != "succeeded":
        [told] = of_list.next().data["jobs"]
    delete_job(actor=owner_of(acme), job=job)
    assert of_list.next().data["gone"] == [str(job.pk)]


@pytest.mark.once
def test_a_server_that_is_asked_to_end_does_not_wait_for_streams(
    tmp_path: Path, settings: Settings, acme: Organization, alices: str
) -> None:
    web = Web(log=tmp_path / "web.log", data_dir=settings.DOCMILL_DATA_DIR, env={})
    try:
        web.wait_until_ready()
        listeners = [Listener(web.port, "/api/batch/jobs/events", alices) for _ in range(5)]
        for listener in listeners:
            listener.next(still=True)
        began = time.monotonic()
        web.terminate()
        assert time.monotonic() - began < 3
        assert all(listener.ends(seconds=1) for listener in listeners)
        web.assert_no_trouble()
        for listener in listeners:
            listener.close()
    finally:
        web.close()
