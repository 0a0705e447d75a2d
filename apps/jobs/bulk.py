"""One act on all jobs, or files, that match a filter: as background work, whatever their number.

Which rows are meant is settled when it is asked for: their ids are noted then, so that nothing that
comes to match later is touched. Each is looked at again when its turn comes, under its lock: what
does not match any more, or what its service refuses, is skipped with the reason. A row's note goes
in the transaction that deals with it, so that a worker that dies leaves exactly the rest.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, QuerySet, UUIDField, Value

from apps.accounts.actor import Actor
from apps.accounts.models import User
from apps.core.errors import DocmillError
from apps.jobs.errors import MoreMatch, NothingMatches
from apps.jobs.models import BatchFile, BatchJob, BulkTarget
from apps.jobs.services.controlling import all_locked, locked
from apps.jobs.services.removing import lock_to_remove
from apps.jobs.services.reuse import lock_bytes
from apps.jobs.verbs import FILE_VERBS, JOB_VERBS, Deed, Verb
from apps.queue.handlers import Control, RunFailed, RunStopped
from apps.queue.models import Priority, WorkItem
from apps.queue.retry import Failure, FailureClass
from apps.queue.work_items import ORGANIZATIONS, step, submit_work, tell_organizations

KIND = "jobs.bulk"
CHUNK = 100
COUNT_LIMIT = 100_000
"""Rows that a preview counts; beyond it says that there are more."""
BREATH_SECONDS = 0.01
"""Between two jobs: SQLite has one writer at a time, and others must get their turn."""
FIRST_SHOWN = 10
TOP_SHOWN = 10
REASONS = 20
"""Different reasons that are told apart; the rest is counted together."""
ORGANIZATIONS_AT_ONCE = 200
"""Organizations whose counts are kept before they are told to their logs."""
CHANGED = "It does not match the filter any more."
STILL = ("state", "error_class", "lane", "priority", "is_held")
"""Filters that a row has to match still when its turn comes: the others hold for good, or nobody
would wonder."""
FILTER_NAMES = {
    "q": "search",
    "made": "made in the past",
    "job__operation": "operation",
    "job__id__exact": "job",
    "created_by__id__exact": "made by user",
}
VERBS = {"jobs": JOB_VERBS, "files": FILE_VERBS}

Row = BatchJob | BatchFile


@dataclass(frozen=True)
class Matching:
    """Rows that match now. `filters` are for people and the log; `up_to` is the newest row's id,
    None for no row."""

    of: str
    rows: QuerySet[Any]
    filters: Mapping[str, str]
    up_to: UUID | None

    @classmethod
    def now(
        cls, of: str, rows: QuerySet[Any], filters: Mapping[str, str], up_to: UUID | None = None
    ) -> "Matching":
        """Those of `rows` that match, none that is newer than `up_to`."""
        rows = rows.order_by().select_related(None)
        if up_to is None:
            up_to = rows.order_by("-pk").values_list("pk", flat=True).first()
        return cls(of, rows.filter(pk__lte=up_to) if up_to else rows.none(), dict(filters), up_to)


@dataclass(frozen=True)
class Preview:
    """What an act on `matching` would be on: `count` rows, or more; how many by state and by
    organization (the largest), and the newest of them."""

    count: int
    has_more: bool
    states: list[tuple[str, int]]
    organizations: list[tuple[str, int]]
    first: list[Row]

    @property
    def elsewhere(self) -> int:
        """How many are of organizations that are not among the largest."""
        return self.count - sum(count for _, count in self.organizations)


def preview(matching: Matching) -> Preview:
    """A fixed number of queries, each over COUNT_LIMIT rows at most."""
    rows = matching.rows
    counted = rows[: COUNT_LIMIT + 1].count()
    some = rows.model.objects.filter(pk__in=rows.values("pk")[:COUNT_LIMIT])

    def by(name: str) -> list[tuple[str, int]]:
        return list(some.values_list(name).annotate(n=Count("pk")).order_by("-n", name)[:TOP_SHOWN])

    return Preview(
        count=min(counted, COUNT_LIMIT),
        has_more=counted > COUNT_LIMIT,
        states=by("state"),
        organizations=by("organization__name"),
        first=list(rows.select_related("organization").order_by("-pk")[:FIRST_SHOWN]),
    )


@transaction.atomic
def request_bulk(
    *,
    by: User,
    verb: Verb,
    matching: Matching,
    reason: str = "",
    at_most: int | None = None,
    key: str = "",
) -> WorkItem:
    """Queues `verb` for what matches now; its ids are noted. Whether `by` may is the caller's to
    have checked, and is checked again while it runs.

    The same `key` again returns the same work. Raises NothingMatches, or MoreMatch when these are
    more than `at_most`, the number that was shown.
    """
    if key and (same := WorkItem.objects.filter(kind=KIND, dedupe_key=key).first()):
        known: WorkItem = same
        return known
    item, is_new = submit_work(
        by=by,
        kind=KIND,
        title=f"{verb.label}: {matching.of}, {in_words(matching.filters)}",
        reason=reason,
        payload={
            "of": matching.of,
            "operation": verb.name,
            "filter": matching.filters,
            "up_to": str(matching.up_to),
        },
        dedupe_key=key,
    )
    if is_new:
        total = _note_ids(item, matching)
        if not total:
            raise NothingMatches("Nothing matches any more.")
        if at_most is not None and total > at_most:
            raise MoreMatch(f"{total} match by now, more than the {at_most} that were shown.")
        item.payload["total"] = total
        item.save(update_fields=["payload"])
    return item


def _note_ids(item: WorkItem, matching: Matching) -> int:
    """Copies the ids into BulkTarget without reading them; how many. No row is in memory here."""
    if matching.up_to is None:
        return 0
    job = "pk" if matching.of == "jobs" else "job_id"
    chosen = matching.rows.annotate(work=Value(item.pk, output_field=UUIDField()))
    sql, values = chosen.values_list("work", job, "pk").query.sql_with_params()
    table = connection.ops.quote_name(BulkTarget._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} (item_id, job, row) {sql}", values)
        return int(cursor.rowcount)


def run(item: WorkItem, control: Control) -> dict[str, Any]:
    """Does what `item` asks for, job by job. Returns `done` and `skipped` by reason, in rows."""
    verb = VERBS[item.payload["of"]][item.payload["operation"]]
    result: dict[str, Any] = {"done": 0, "skipped": {}} | item.result
    item.result = result
    targets = BulkTarget.objects.filter(item=item).order_by("job")
    while jobs := list(targets.values_list("job", flat=True).distinct()[:CHUNK]):
        user = _asker(item, verb)
        for job_id in jobs:
            if control.should_stop():
                raise RunStopped
            with step(item):
                _deal_with(item, verb, user, job_id)
                _report(item, control)
            time.sleep(BREATH_SECONDS)
        # Past the places of those that are deleted, which a database reads for a while yet.
        targets = targets.filter(job__gt=jobs[-1])
    return result


def _report(item: WorkItem, control: Control) -> None:
    total = item.payload["total"]
    dealt_with = item.result["done"] + sum(item.result["skipped"].values())
    control.report(f"{dealt_with} of {total}", dealt_with / total)


def _asker(item: WorkItem, verb: Verb) -> User:
    """Who asked for it. Raises RunFailed when they may not any more."""
    staff = User.objects.filter(is_active=True, is_staff=True)
    user = staff.filter(pk=item.requested_by_id).first() if item.requested_by_id else None
    if user is None or not user.has_perm(verb.permission):
        detail = "The person who asked for this may not do it any more."
        raise RunFailed(Failure(FailureClass.PERMANENT, "bulk.not_allowed", detail))
    return user


def _deal_with(item: WorkItem, verb: Verb, user: User, job_id: UUID) -> None:
    """Acts on what is meant of one job, and counts it. In the step's transaction."""
    targets = BulkTarget.objects.filter(item=item, job=job_id)
    ids = set(targets.values_list("row", flat=True))
    job = BatchJob.objects.select_related("organization").filter(pk=job_id).first()
    told: dict[str, int] = {}
    if job is None:
        told["There is no such job."] = len(ids)
    else:
        actor = Actor.operator(user, job.organization, work_id=str(item.pk))
        told = _act(item, verb, actor, job, ids)
    _count(item, str(job.organization_id) if job else "", len(ids) - sum(told.values()), told)
    targets.delete()


def _act(item: WorkItem, verb: Verb, actor: Actor, job: BatchJob, ids: set[UUID]) -> dict[str, int]:
    """Does it to those that can be; how many were skipped, by reason."""
    told: dict[str, int] = {}
    try:
        with transaction.atomic():
            # Bytes before files, as everybody takes them.
            if verb.deletes:
                lock_to_remove([job.pk])
            else:
                lock_bytes(BatchFile.objects.filter(job=job))
            files = all_locked(job)
            current = locked(job)
            rows: Sequence[Row] = [current]
            if item.payload["of"] == "files":
                rows = [file for file in files if file.pk in ids]
                told |= _counted("There is no such file.", len(ids) - len(rows))
            same = [row for row in rows if _still_matches(row, item.payload["filter"])]
            told |= _counted(CHANGED, len(rows) - len(same))
            only = _fitting(verb, same, files)
            if item.payload["of"] == "files":
                told |= _counted(verb.unfit, len(same) - len(only))
            # Without files, a service takes the whole job: that is meant of jobs alone.
            if only or (same and item.payload["of"] == "jobs"):
                verb.perform(Deed(actor, current, only, item.reason))
    except DocmillError as error:
        told[str(error)] = len(ids) - sum(told.values())
    return told


def _fitting(verb: Verb, rows: Sequence[Row], files: Sequence[BatchFile]) -> list[BatchFile]:
    """The files among `rows` that the verb can be done to; none of what are jobs."""
    opened = {file.parent_id for file in files} if verb.spares_opened else set()
    return [
        row
        for row in rows
        if isinstance(row, BatchFile)
        and verb.fits(row)
        and not (row.pk in opened and row.state == "succeeded")
    ]


def _still_matches(row: Row, filters: Mapping[str, str]) -> bool:
    return all(str(getattr(row, name)) == filters[name] for name in STILL if name in filters)


def _counted(reason: str, number: int) -> dict[str, int]:
    return {reason: number} if number else {}


def _count(item: WorkItem, organization: str, done: int, skipped: Mapping[str, int]) -> None:
    result = item.result
    result["done"] += done
    for reason, number in skipped.items():
        known = result["skipped"]
        name = reason if reason in known or len(known) < REASONS else "Other reasons."
        known[name] = known.get(name, 0) + number
    if not organization:
        return
    counts = result.setdefault(ORGANIZATIONS, {}).setdefault(
        organization, {"done": 0, "skipped": 0}
    )
    counts["done"] += done
    counts["skipped"] += sum(skipped.values())
    if len(result[ORGANIZATIONS]) >= ORGANIZATIONS_AT_ONCE:
        tell_organizations(item)


def in_words(filters: Mapping[str, str]) -> str:
    """The filters, for people."""
    told = {FILTER_NAMES.get(name, name.replace("_", " ")): v for name, v in filters.items()}
    if "priority" in told:
        told["priority"] = Priority(int(told["priority"])).label
    return ", ".join(f"{name} {value}" for name, value in told.items()) or "all there are"
