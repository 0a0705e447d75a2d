"""Work without a table of its own: claimed, kept, ended, taken back, told to the log."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from apps.accounts.models import Organization, User
from apps.audit.models import AuditEntry
from apps.audit.verifying import verify_all
from apps.queue import checks, lease, sweep, worker
from apps.queue.claim import claim
from apps.queue.handlers import Control, Output, RunStopped
from apps.queue.lanes import due_count, free_places
from apps.queue.models import Lane, WorkAttempt, WorkerNode, WorkItem, in_seconds
from apps.queue.pauses import pause
from apps.queue.settle import succeed
from apps.queue.states import State
from apps.queue.work_items import (
    WorkFinished,
    WorkItemHandler,
    WorkUnfinished,
    cancel_work,
    retry_work,
    step,
    submit_work,
)
from tests.batches import SOMEBODY, Scripted, submit, together
from tests.queue import errands
from tests.queue.errands import errand, say_hello
from tests.servers import Valkey

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("script")]


@pytest.fixture(autouse=True)
def _kinds(settings: Settings, script: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.QUEUE_HANDLERS = [
        "tests.batches.Scripted",
        "apps.queue.work_items.WorkItemHandler",
    ]
    settings.WORK_KINDS = {"errand": "tests.queue.errands.run"}
    monkeypatch.setattr(lease, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(lease, "LOOK_SECONDS", 0.1)
    errands.SCRIPT[:] = [say_hello]
    yield
    errands.SCRIPT.clear()


def until_stopped(item: WorkItem, control: Control) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while not control.should_stop():
        assert time.monotonic() < deadline, "nobody stopped the run"
        time.sleep(0.01)
    raise RunStopped


def lose_lease(item: WorkItem) -> None:
    WorkItem.objects.filter(pk=item.pk).update(lease_expires_at=in_seconds(-1))


def entries(action: str) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action=action).order_by("pk"))


def test_work_of_no_organization_runs_and_keeps_what_came_of_it(alice: User) -> None:
    item = errand(alice, name="Alice")
    assert worker.work_off("sync") == 1
    item.refresh_from_db()
    assert (item.state, item.result, item.organization) == (
        State.SUCCEEDED,
        {"said": "hello Alice"},
        None,
    )
    attempt = WorkAttempt.objects.get()
    assert (attempt.row_id, attempt.outcome, attempt.stage) == (item.pk, "succeeded", "greeting")
    [asked], [told] = entries("work.request"), entries("errand")
    assert (asked.chain_id, told.chain_id, told.actor_name) == ("system", "system", alice.email)
    assert json.loads(told.detail)["result"] == item.result
    assert not list(verify_all())


def test_it_waits_at_its_lanes_cap_over_all_handlers(
    acme: Organization, settings: Settings
) -> None:
    settings.QUEUE_LANES = settings.QUEUE_LANES | {"sync": 2}
    submit(acme, "one", "two")
    Scripted.model.objects.update(lane="sync")
    errand()
    assert due_count("sync", 8) == 3
    assert free_places("sync") == 2
    found = [claim("sync", SOMEBODY) for _ in range(3)]
    assert [each and each[0] for each in found] == [Scripted, Scripted, None]
    assert found[0]
    assert succeed(Scripted, found[0][1], Scripted().read())
    claimed = claim("sync", SOMEBODY)
    assert claimed
    assert claimed[0] is WorkItemHandler
    assert free_places("sync") == 0


def test_a_cap_for_each_organization_does_not_hold_what_is_nobodys() -> None:
    Lane.objects.create(name="sync", max_running=3, max_running_per_organization=1)
    errand()
    errand()
    assert claim("sync", SOMEBODY)
    assert claim("sync", SOMEBODY)


@pytest.mark.parametrize("lane", ["", "sync"])
def test_it_runs_while_everything_is_paused(acme: Organization, alice: User, lane: str) -> None:
    """What lifts a pause must run while there is one; files do not."""
    submit(acme, "one")
    Scripted.model.objects.update(lane="sync")
    errand()
    pause(by=alice, lane=lane, reason="Let it cool down.")
    pause(by=alice, lane=lane, organization=acme)
    assert due_count("sync", 8) == 1
    assert free_places("sync") == 1
    assert worker.work_off("sync") == 1
    assert WorkItem.objects.get().state == State.SUCCEEDED
    assert Scripted.model.objects.get().state == State.QUEUED


def test_the_sweep_rings_for_it_also_while_its_lane_is_paused(
    alice: User, bell: Callable[[str], int], valkey: Valkey
) -> None:
    errand()
    valkey.flushall()  # the doorbell of the commit is lost
    pause(by=alice, lane="sync")
    WorkerNode.objects.create(id=SOMEBODY, host="h", pid=1, lanes=["sync"], slots=2, seen_at=Now())
    assert bell("sync") == 0
    sweep.ring_for_due()
    assert bell("sync") == 1


def test_what_a_dead_worker_had_is_taken_back_and_goes_on_from_its_last_step() -> None:
    item = errand()
    claimed = claim("sync", SOMEBODY)
    assert claimed
    mine: Any = claimed[1]
    with step(mine):
        mine.result = {"cursor": 1}
    lose_lease(item)
    assert sweep.take_back_lost() == 1
    item.refresh_from_db()
    assert (item.state, item.result, item.losses) == (State.QUEUED, {"cursor": 1}, 1)

    def go_on(item: WorkItem, control: Control) -> dict[str, Any]:
        return {"went_on_from": item.result["cursor"]}

    errands.SCRIPT[:] = [go_on]
    assert worker.work_off("sync") == 1
    item.refresh_from_db()
    assert (item.state, item.result) == (State.SUCCEEDED, {"went_on_from": 1})


def test_a_step_of_who_lost_the_item_does_nothing() -> None:
    item = errand()
    claimed = claim("sync", SOMEBODY)
    assert claimed
    late: Any = claimed[1]
    lose_lease(item)
    sweep.take_back_lost()
    other = errand()
    with pytest.raises(RunStopped), step(late):
        WorkItem.objects.filter(pk=other.pk).update(title="Changed by a ghost")
    other.refresh_from_db()
    assert other.title == "Say hello"
    assert not succeed(WorkItemHandler, late, Output({"said": "boo"}))
    item.refresh_from_db()
    assert item.result == {}


def test_a_bug_in_it_is_tried_again_and_then_failed(alice: User) -> None:
    item = errand(alice)

    def fail(item: WorkItem, control: Control) -> dict[str, Any]:
        raise ValueError("a bug")

    errands.SCRIPT[:] = [fail]
    for _ in range(4):
        WorkItem.objects.update(available_at=Now())
        assert worker.work_off("sync") == 1
    item.refresh_from_db()
    assert (item.state, item.error_code) == (State.FAILED, "queue.error")
    [told] = entries("errand")
    assert json.loads(told.detail)["state"] == "failed"
    errands.SCRIPT[:] = [say_hello]
    retry_work(by=alice, item=item)
    worker.work_off("sync")
    item.refresh_from_db()
    assert (item.state, item.run, item.error_code) == (State.SUCCEEDED, 2, "")
    with pytest.raises(WorkFinished):
        retry_work(by=alice, item=item)


def test_a_kind_that_a_worker_does_not_know_waits_for_another() -> None:
    item = errand()
    WorkItem.objects.update(kind="from.the.future")
    worker.work_off("sync")
    item.refresh_from_db()
    assert (item.state, item.error_code) == (State.RETRY_WAIT, "work.unknown_kind")


def test_a_kind_whose_function_is_not_there_is_found_at_the_start(settings: Settings) -> None:
    assert checks.check_work_kinds() == []
    settings.WORK_KINDS = {"errand": "tests.queue.errands.nowhere"}
    [error] = checks.check_work_kinds()
    assert error.id == "queue.E004"
    assert "errand" in error.msg


def test_work_that_waits_is_cancelled_at_once(alice: User) -> None:
    item = errand(alice)
    with pytest.raises(WorkUnfinished):
        retry_work(by=alice, item=item)
    cancel_work(by=alice, item=item)
    assert item.state == State.CANCELLED
    assert worker.work_off("sync") == 0
    assert [len(entries("work.cancel")), len(entries("errand"))] == [1, 1]
    with pytest.raises(WorkFinished):
        cancel_work(by=alice, item=item)


def test_work_that_runs_is_cancelled_after_its_step(alice: User, acme: Organization) -> None:
    item = errand(alice)

    def one_step_then_wait(item: WorkItem, control: Control) -> dict[str, Any]:
        with step(item):
            item.result = {"steps": 1, "organizations": {str(acme.pk): {"done": 1}}}
        cancel_work(by=alice, item=item)
        return until_stopped(item, control)

    errands.SCRIPT[:] = [one_step_then_wait]
    worker.work_off("sync")
    item.refresh_from_db()
    assert (item.state, item.result) == (State.CANCELLED, {"steps": 1})
    theirs, systems = entries("errand")
    assert {theirs.chain_id, systems.chain_id} == {str(acme.pk), "system"}
    assert not list(verify_all())


def test_the_same_key_at_the_same_moment_makes_one(alice: User) -> None:
    def ask() -> tuple[WorkItem, bool]:
        return submit_work(by=alice, kind="errand", title="Sync", payload={}, dedupe_key="folder")

    found = together([ask] * 10)
    assert len({item.pk for item, _ in found}) == 1
    assert [is_new for _, is_new in found].count(True) == 1
    worker.work_off("sync")
    again, is_new = ask()
    assert is_new
    assert again.pk != found[0][0].pk
