"""Downloads that are built in the background: asked for, and taken away."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from operator import attrgetter

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from apps.accounts.actor import Actor
from apps.accounts.models import Organization
from apps.audit.services import record
from apps.core.errors import NotFound
from apps.core.transactions import repeated
from apps.jobs import storage, telling
from apps.jobs.contents import Contents
from apps.jobs.errors import TooManyExports
from apps.jobs.formats.format import Format
from apps.jobs.models import BatchJob, Export
from apps.queue.models import WorkItem
from apps.queue.work_items import submit_work, withdraw_work

KIND = "jobs.export"
LANE = "export"
MAX_UNFINISHED = 20
"""Exports of an organization that are to be built."""
ALSO = "also"
"""Where the work keeps who asked for the same while it was being built."""


@repeated
def request_export(*, actor: Actor, jobs: Sequence[BatchJob], made: Format) -> Export:
    """An export of `jobs`, all of the actor's organization: one that is there already where nothing
    has changed since, one that is being built where that is of the same, else a new one.

    Raises Forbidden, TooManyExports, NotFound when one of the jobs is gone, and StorageUnavailable.
    """
    actor.require("create", "exports")
    ids = [job.pk for job in jobs]
    if BatchJob.objects.in_organization(actor.organization).filter(pk__in=ids).count() < len(ids):
        raise NotFound("There is no such job.")
    # As they stand in it, whatever order they are asked for in: it is the same export.
    contents = Contents.of(sorted(jobs, key=attrgetter("created_at", "pk")))
    # Before the transaction: it looks whether the bytes are there.
    built = built_export(contents, made)
    if built is not None:
        built.expires_at = expiry(contents)
        if Export.objects.filter(pk=built.pk).update(expires_at=built.expires_at):
            return built
    return _begin(actor, contents, made)


@transaction.atomic
def _begin(actor: Actor, contents: Contents, made: Format) -> Export:
    """The one that is being built of these contents already, or a new one."""
    jobs = [section.job for section in contents.sections]
    item, is_new = submit_work(
        by=actor.user,
        organization=actor.organization,
        kind=KIND,
        lane=LANE,
        title=f"Build {contents.download_name(made.name)}",
        payload={"format": made.name, "jobs": [str(job.pk) for job in jobs]},
        dedupe_key=_scope(contents, made),
    )
    if not is_new:
        return _joined(actor, item)
    _require_room(actor.organization, contents)
    export: Export = Export.objects.create(
        organization=actor.organization,
        created_by=actor.user,
        format=made.name,
        name=contents.download_name(made.name),
        item=item,
        expires_at=expiry(contents),
    )
    export.jobs.set(jobs)
    return export


def _require_room(organization: Organization, contents: Contents) -> None:
    """Raises TooManyExports: of a few jobs there are a thousand choices, each an export of its own,
    and all of them would fill the disk for everybody. What comes at the same moment may pass it."""
    exports = Export.objects.in_organization(organization)
    kept = exports.aggregate(total=Sum("content__size_bytes"))["total"] or 0
    if kept + contents.size_bytes > settings.EXPORT_MAX_BYTES:
        raise TooManyExports(
            f"The exports of {organization.name} are {kept} bytes, and may be "
            f"{settings.EXPORT_MAX_BYTES}. Delete some."
        )
    unfinished = WorkItem.objects.unfinished()
    if exports.filter(content=None, item__in=unfinished).count() >= MAX_UNFINISHED:
        raise TooManyExports(f"{MAX_UNFINISHED} are to be built already. Wait, or stop some.")


def _joined(actor: Actor, item: WorkItem) -> Export:
    """The export that `item` builds already; the actor hears of it as well."""
    # Whoever puts it in place has locked its work: they see who asked, or it is there by now.
    locked = WorkItem.objects.select_for_update(of=("self",), no_key=True).get(pk=item.pk)
    known: Export = Export.objects.select_related("item", "content").get(item=item)
    asked = locked.payload.get(ALSO, [])
    if known.content_id is None and actor.user.pk not in (known.created_by_id, *asked):
        payload = locked.payload | {ALSO: [*asked, actor.user.pk]}
        WorkItem.objects.filter(pk=item.pk).update(payload=payload)
    return known


def built_export(contents: Contents, made: Format) -> Export | None:
    """The newest that has exactly these contents, with its bytes."""
    same = Export.objects.ready().filter(
        organization=contents.sections[0].job.organization_id,
        fingerprint=contents.fingerprint(made.name),
    )
    found: Export | None = same.select_related("item", "content").order_by("-id").first()
    is_there = found is not None and found.content and storage.is_there(found.content)
    return found if is_there else None


def expiry(contents: Contents) -> datetime:
    """Until when an export that is asked for now is kept: no longer than its jobs are for sure."""
    now = timezone.now()
    until = now + timedelta(days=settings.EXPORT_RETENTION_DAYS)
    jobs_until = contents.expires_at
    # Of a job whose time is over nobody knows when it goes; the export goes with it.
    return until if jobs_until is None or jobs_until < now else min(until, jobs_until)


def _scope(contents: Contents, made: Format) -> str:
    """What makes two unfinished exports the same. Of jobs that run each moment has contents of its
    own, and whoever asks wants the latest: they share one."""
    jobs = sorted(str(section.job.pk) for section in contents.sections)
    of = contents.fingerprint(made.name) if contents.is_complete else "so far"
    return hashlib.sha256(json.dumps([made.name, jobs, of]).encode()).hexdigest()


@repeated
@transaction.atomic
def delete_export(*, actor: Actor, export: Export) -> None:
    """Deletes the export and its bytes, and stops its being built. Raises Forbidden."""
    actor.require("delete", "exports", created_by_id=export.created_by_id)
    storage.release_on_commit(remove_exports(Export.objects.filter(pk=export.pk)))
    record(
        organization=actor.organization,
        actor=actor.user,
        action="export.delete",
        target="export",
        target_id=export.pk,
        detail={"name": export.name},
    )


def remove_exports(exports: QuerySet[Export]) -> set[int]:
    """Deletes them in the caller's transaction; the blobs to be released after it. What still
    builds one is stopped."""
    rows = list(exports.values_list("pk", "content_id", "item_id").distinct())
    # Before the exports: who builds one has locked its work when it writes into it.
    withdraw_work(WorkItem.objects.filter(pk__in=[item for _, _, item in rows if item]))
    gone = Export.objects.filter(pk__in=[pk for pk, _, _ in rows])
    # Read again: one may have been built meanwhile.
    contents = set(gone.exclude(content=None).values_list("content_id", flat=True))
    telling.forget_exports(pk for pk, _, _ in rows)
    gone.delete()
    return contents
