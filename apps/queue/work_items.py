"""Background work that has no table of its own: a kind, what it is given, and what came of it.

The function of a kind is named in `settings.WORK_KINDS`. It is called as `run(item, control)`,
outside any transaction, and returns the item's result, a dict that JSON can tell. A worker may die
at any moment and another begin again, so it goes in `step`s and keeps in `item.result` how far it
is. Raises RunStopped once `control.should_stop()` says so.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from apps.accounts.models import Organization, User
from apps.audit.services import record
from apps.core.context import request_id_to_keep
from apps.core.errors import DocmillError
from apps.core.tracing import traceparent_to_keep
from apps.queue.doorbell import ring_on_commit
from apps.queue.handlers import Control, Handler, Output, RunFailed, RunStopped
from apps.queue.lanes import take_ranks
from apps.queue.models import LeasedRow, Priority, WorkAttempt, WorkItem
from apps.queue.retry import Failure, FailureClass
from apps.queue.states import FINISHED, READY, UNFINISHED, State

Run = Callable[[WorkItem, Control], dict[str, Any]]

LANE = "sync"
MAILS = "email"
"""The lane of mails. Strangers have some sent, so they are in no log: it could be filled."""
ORGANIZATIONS = "organizations"
"""What a result keeps under this name, {organization id: what was done}, is told to the log of each
of them when the item ends."""


class WorkFinished(DocmillError):
    code = "work.finished"
    status = HTTPStatus.CONFLICT
    title = "This work is finished already"


class WorkUnfinished(DocmillError):
    code = "work.unfinished"
    status = HTTPStatus.CONFLICT
    title = "This work is not finished"


def run_of(kind: str) -> Run:
    """The function of `kind`. Raises KeyError for one that the settings do not have."""
    run: Run = import_string(settings.WORK_KINDS[kind])
    return run


class WorkItemHandler(Handler):
    """Calls the function of the item's kind."""

    model = WorkItem
    attempt_model = WorkAttempt
    is_pausable = False

    def run(self, row: LeasedRow, control: Control) -> Output:
        item = cast(WorkItem, row)
        if item.kind not in settings.WORK_KINDS:
            detail = f"This worker knows no work called {item.kind}."
            # Transient: while versions change, another worker may.
            raise RunFailed(Failure(FailureClass.TRANSIENT, "work.unknown_kind", detail))
        return Output(run_of(item.kind)(item, control))

    @classmethod
    def facts(cls, row: LeasedRow) -> dict[str, str]:
        return {"work_id": str(row.pk), "kind": cast(WorkItem, row).kind}

    @classmethod
    def settled(cls, row: LeasedRow, output: Output | None) -> None:
        item = WorkItem.objects.get(pk=row.pk)
        if output is not None:
            item.result = output.value
        if item.state in FINISHED:
            _tell(item)
        WorkItem.objects.filter(pk=item.pk).update(result=item.result)


@contextmanager
def step(item: WorkItem) -> Iterator[None]:
    """A piece of the item's run: what is done within, `item.result`, and how far it was reported to
    be, all kept or nothing.

    Raises RunStopped, before anything is done, when the item is not this worker's any more.
    """
    with transaction.atomic():
        mine = WorkItem.objects.filter(
            pk=item.pk, lease_token=item.lease_token, state=State.RUNNING
        )
        # First of all locks: whoever takes the item back waits for the step, or the step is off.
        if mine.select_for_update().first() is None:
            raise RunStopped
        yield
        mine.update(result=item.result, stage=item.stage, progress=item.progress)


@transaction.atomic
def submit_work(
    *,
    by: User | None,
    kind: str,
    title: str,
    payload: Mapping[str, Any],
    reason: str = "",
    dedupe_key: str = "",
    lane: str = LANE,
    organization: Organization | None = None,
) -> tuple[WorkItem, bool]:
    """Queues work, and whether it is new: while there is unfinished work of this kind with the
    same `dedupe_key`, that is returned instead. `payload` is what JSON can tell. That of an
    organization takes its turn among those of others."""
    given = {
        "lane": lane,
        "title": title[:200],
        "payload": dict(payload),
        "reason": reason[:200],
        "requested_by": by,
        "organization": organization,
        "fair_rank": partial(_rank, organization, lane),
    }
    if dedupe_key:
        same = WorkItem.objects.unfinished()
        item, is_new = same.get_or_create(given, kind=kind, dedupe_key=dedupe_key)
        if not is_new:
            return item, False
    else:
        item = WorkItem.objects.create(
            kind=kind, **given | {"fair_rank": _rank(organization, lane)}
        )
    ring_on_commit(lane, 1)
    _note(item, by, "work.request", payload=item.payload)
    return item, True


def _rank(organization: Organization | None, lane: str) -> float:
    """The place of new work in its line; that of nobody goes first."""
    if organization is None:
        return 0.0
    [rank] = take_ranks(
        WorkItem, organization=organization, lane=lane, priority=Priority.NORMAL, count=1
    )
    return rank


@transaction.atomic
def cancel_work(*, by: User, item: WorkItem) -> None:
    """Stops the work: at once while it waits, after its current step while it runs. What was done
    stays done. Raises WorkFinished. Whether `by` may is the caller's to have checked."""
    mine = WorkItem.objects.filter(pk=item.pk)
    if mine.filter(state__in=READY).update(state=State.CANCELLED, finished_at=Now()):
        _note(item, by, "work.cancel")
        item.refresh_from_db()
        _tell(item)
        mine.update(result=item.result)
    elif mine.filter(state=State.RUNNING).update(cancel_requested=True):
        _note(item, by, "work.cancel")
    else:
        raise WorkFinished("There is nothing left to cancel.")


def withdraw_work(items: QuerySet[WorkItem]) -> None:
    """Stops those of `items` that are unfinished, because what they were for is gone. In the
    caller's transaction; whoever runs one waits for it, or is waited for."""
    ids = sorted(items.values_list("pk", flat=True))
    mine = WorkItem.objects.filter(pk__in=ids)
    list(mine.select_for_update(of=("self",), no_key=True).order_by("pk").values_list("pk"))
    mine.filter(state__in=READY).update(state=State.CANCELLED, finished_at=Now())
    # It gives its key up at once: who asks for the same again gets work that comes to something.
    mine.filter(state=State.RUNNING).update(cancel_requested=True, dedupe_key="")


@transaction.atomic
def retry_work(*, by: User, item: WorkItem) -> None:
    """Goes on with work that failed or was cancelled, where it ended. Raises WorkUnfinished, or
    WorkFinished for what succeeded."""
    ended = (State.FAILED, State.QUARANTINED, State.CANCELLED)
    if not WorkItem.objects.filter(pk=item.pk, state__in=ended).update(
        state=State.QUEUED,
        run=F("run") + 1,
        available_at=Now(),
        failures=0,
        crashes=0,
        losses=0,
        error_class="",
        error_code="",
        error_detail="",
        finished_at=None,
        request_id=request_id_to_keep(),
        traceparent=traceparent_to_keep(),
    ):
        if WorkItem.objects.filter(pk=item.pk, state__in=UNFINISHED).exists():
            raise WorkUnfinished("It has not ended yet.")
        raise WorkFinished("It succeeded: there is nothing to go on with.")
    ring_on_commit(item.lane, 1)
    _note(item, by, "work.retry")


def tell_organizations(item: WorkItem) -> None:
    """Says in the log of each organization in `item.result` what was done to it, and takes them
    out of the result. In the caller's transaction, in one order, so that no two wait for each
    other."""
    for pk, told in sorted(item.result.pop(ORGANIZATIONS, {}).items()):
        organization = Organization(pk=UUID(pk))  # by its id alone: it may be deleted by now
        _note(item, item.requested_by, item.kind, organization=organization, **told)


def _tell(item: WorkItem) -> None:
    """What came of it, to every log that it concerns."""
    tell_organizations(item)
    _note(item, item.requested_by, item.kind, state=item.state, result=item.result)


def _note(
    item: WorkItem,
    actor: User | None,
    action: str,
    *,
    organization: Organization | None = None,
    **detail: object,
) -> None:
    if item.lane == MAILS:
        return
    record(
        organization=organization or item.organization,
        actor=actor,
        action=action,
        target="work",
        target_id=item.pk,
        reason=item.reason,
        detail={"title": item.title, **detail},
    )
