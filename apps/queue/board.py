"""What the board of the queue shows, read in a fixed number of queries however much there is."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Min, QuerySet
from django.db.models.functions import Now

from apps.queue.handlers import Handler, handler_classes
from apps.queue.models import Lane, LeasedRow, Pause, PeriodicRun, WorkerNode
from apps.queue.states import State
from apps.queue.vitals import beat_silent_after, silent_after

SHOWN = 200
"""Rows that run, workers and pauses that are shown at the most, each."""
WAITING, RETRYING, HELD, RUNNING = "waiting", "waiting to retry", "held back", "running"


@dataclass
class LaneOnBoard:
    """A lane: how many rows of each handler are at what, and since when the first of them waits."""

    name: str
    limit: int
    limit_per_organization: int | None
    has_limits: bool
    counts: dict[str, Counter[type[Handler]]] = field(
        default_factory=lambda: defaultdict(Counter[type[Handler]])
    )
    waits_since: datetime | None = None
    pauses: list[Pause] = field(default_factory=list)

    def total(self, what: str) -> int:
        return self.counts[what].total()


@dataclass(frozen=True)
class Run:
    """A row that runs, and since when in this attempt."""

    handler: type[Handler]
    row: LeasedRow
    since: datetime | None


@dataclass
class QueueNow:
    """`elsewhere` is what runs for workers that are not known any more."""

    lanes: list[LaneOnBoard]
    pauses: list[Pause]
    workers: list[WorkerNode]
    runs: dict[uuid.UUID, list[Run]]
    swept: PeriodicRun | None

    @property
    def elsewhere(self) -> list[Run]:
        known = {worker.pk for worker in self.workers}
        return [run for each, runs in self.runs.items() if each not in known for run in runs]


def read_board() -> QueueNow:
    """The queue as it is now."""
    in_force = Pause.objects.in_force().select_related("organization", "paused_by")
    pauses = list(in_force.order_by("created_at")[:SHOWN])
    workers: QuerySet[Any] = WorkerNode.objects.order_by("host", "started_at")
    sweeps: QuerySet[Any] = PeriodicRun.objects.filter(pk="sweep")
    return QueueNow(
        lanes=_lanes(pauses),
        pauses=pauses,
        workers=list(workers.annotate(now=Now())[:SHOWN]),
        runs=_runs(),
        swept=sweeps.annotate(now=Now()).first(),
    )


def read_lanes() -> list[LaneOnBoard]:
    """The lanes as they are now, in the order of the settings."""
    return _lanes(Pause.objects.in_force().filter(organization=None))


def _lanes(pauses: Iterable[Pause]) -> list[LaneOnBoard]:
    limits = Lane.objects.in_bulk()
    lanes = {name: _lane(name, limits.get(name)) for name in settings.QUEUE_LANES}
    for handler in handler_classes():
        for name, what, count, since in _counted(handler):
            if lane := lanes.get(name):
                lane.counts[what][handler] += count
                lane.waits_since = min(filter(None, (lane.waits_since, since)), default=None)
    for pause in pauses:
        if pause.organization_id is None:
            for lane in [lanes[pause.lane]] if pause.lane in lanes else lanes.values():
                lane.pauses.append(pause)
    return list(lanes.values())


def _lane(name: str, row: Lane | None) -> LaneOnBoard:
    limit = row.max_running if row else None
    each = row.max_running_per_organization if row else None
    return LaneOnBoard(
        name=name,
        limit=settings.QUEUE_LANES[name] if limit is None else limit,
        limit_per_organization=settings.QUEUE_LANES_EACH.get(name) if each is None else each,
        has_limits=row is not None,
    )


def _counted(handler: type[Handler]) -> Iterator[tuple[str, str, int, datetime | None]]:
    """Lane, what its rows are at, how many, and since when the first of them waits; each half is
    read from its own index."""
    waiting = handler.model.objects.ready().order_by().values_list("lane", "state", "is_held")
    for lane, state, is_held, count, since in waiting.annotate(
        count=Count("*"), since=Min("available_at")
    ):
        what = HELD if is_held else WAITING if state == State.QUEUED else RETRYING
        yield lane, what, count, None if is_held else since
    running = handler.model.objects.running().order_by().values_list("lane")
    for lane, count in running.annotate(count=Count("*")):
        yield lane, RUNNING, count, None


def _runs() -> dict[uuid.UUID, list[Run]]:
    """What runs, by worker."""
    found = defaultdict[uuid.UUID, list[Run]](list)
    for handler in handler_classes():
        rows = list(handler.model.objects.running().order_by("id")[:SHOWN])
        attempts = handler.attempt_model.objects.filter(
            lease_token__in=[row.lease_token for row in rows]
        )
        began = dict(attempts.values_list("lease_token", "started_at"))
        for row in rows:
            found[row.worker_id].append(Run(handler, row, began.get(row.lease_token)))
    return dict(found)


def is_silent(worker: WorkerNode) -> bool:
    """Whether it has not said for too long that it is alive."""
    return worker.now - worker.seen_at > silent_after()


def is_late(swept: PeriodicRun | None) -> bool:
    """Whether nobody looks after the queue."""
    if swept is None or swept.started_at is None:
        return True
    return swept.now - swept.started_at > beat_silent_after()
