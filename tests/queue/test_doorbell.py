"""The doorbell wakes slots, never holds anybody up, and is worth nothing."""

import json
import logging
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import redis
from django.db import connection, transaction

from apps.accounts.models import Organization
from apps.queue import doorbell, worker
from apps.queue.doorbell import live_slots, ring, ring_on_commit
from apps.queue.models import WorkerNode, in_seconds
from tests.batches import submit
from tests.servers import Valkey

Bell = Callable[[str], int]

pytestmark = pytest.mark.django_db


def seconds_of(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def test_a_ring_lies_in_the_lanes_list_and_carries_the_lane_only(
    bell: Bell, valkey: Valkey
) -> None:
    assert ring("ocr", 1)
    assert (bell("ocr"), bell("default")) == (1, 0)
    client = redis.Redis.from_url(valkey.url)
    message = json.loads(client.lindex("docmill:ocr", 0))
    client.close()
    assert message["headers"]["task"] == "queue.work"
    assert message["headers"]["argsrepr"] == "['ocr']"


def test_it_rings_from_a_thread_too(bell: Bell) -> None:
    """A web server's request runs in one, where Celery has no current application of its own."""

    def rings() -> None:
        assert ring("default", 1)
        connection.close()

    thread = threading.Thread(target=rings)
    thread.start()
    thread.join()
    assert bell("default") == 1


@pytest.mark.parametrize(("count", "slots", "rings"), [(1, 3, 1), (50, 3, 3), (50, None, 8)])
def test_it_wakes_no_more_slots_than_there_are(
    bell: Bell, count: int, slots: int | None, rings: int
) -> None:
    if slots:
        worker.register(["default", "ocr"], slots)
    assert ring("default", count)
    assert bell("default") == rings


def test_doorbells_that_nobody_hears_do_not_pile_up(bell: Bell) -> None:
    worker.register(["default"], 3)
    for _ in range(20):
        assert ring("default", 2)
    assert bell("default") == 2
    assert ring("default", 3)
    assert bell("default") == 3


def test_nothing_to_ring_for(bell: Bell) -> None:
    assert not ring("default", 0)
    assert bell("default") == 0


def test_slots_of_workers_that_were_not_seen_lately_do_not_count() -> None:
    worker.register(["default"], 3)
    assert (live_slots("default"), live_slots("ocr")) == (3, 0)
    WorkerNode.objects.update(seen_at=in_seconds(-61))
    assert live_slots("default") == 0


@pytest.mark.alone  # it measures
def test_a_broker_that_is_gone_costs_nothing(
    valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    ring("default", 1)  # the first one loads the transport
    valkey.kill()
    with caplog.at_level(logging.WARNING):
        assert seconds_of(lambda: ring("default", 5)) < 0.2
    assert not ring("default", 1)
    assert caplog.text.count("no doorbell for lane default") == 1


@pytest.mark.alone  # it measures
def test_a_broker_that_is_frozen_costs_a_second_once(valkey: Valkey) -> None:
    ring("default", 1)
    valkey.freeze()
    answers: list[bool] = []
    assert seconds_of(lambda: answers.append(ring("default", 5))) < 1.5
    assert seconds_of(lambda: answers.append(ring("default", 5))) < 0.1
    assert answers == [False, False]


def test_after_a_failure_nobody_tries_for_a_while(
    valkey: Valkey, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    valkey.kill()
    assert not ring("default", 1)
    valkey.start()
    assert not ring("default", 1)
    now = time.monotonic()
    later = SimpleNamespace(monotonic=lambda: now + doorbell.BREAKER_SECONDS)
    monkeypatch.setattr(doorbell, "time", later)
    assert ring("default", 1)
    assert bell("default") == 1


def test_the_bindings_that_a_flush_took_are_made_anew(valkey: Valkey, bell: Bell) -> None:
    assert ring("default", 1)
    valkey.flushall()
    assert ring("default", 1)
    assert bell("default") == 1


def test_it_rings_after_the_commit_and_not_without(
    bell: Bell, django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        with transaction.atomic():
            ring_on_commit("default", 1)
        assert bell("default") == 0
    assert bell("default") == 1


@pytest.mark.django_db(transaction=True)
def test_a_submission_rings_and_one_that_is_taken_back_does_not(
    acme: Organization, bell: Bell
) -> None:
    submit(acme, "one")
    assert bell("default") == 1

    def taken_back() -> None:
        with transaction.atomic():
            submit(acme, "two", "three")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        taken_back()
    assert bell("default") == 1


@pytest.mark.django_db(transaction=True)
def test_a_submission_does_not_wait_for_a_broker(acme: Organization, valkey: Valkey) -> None:
    valkey.kill()
    submit(acme, "one")
    valkey.start()
