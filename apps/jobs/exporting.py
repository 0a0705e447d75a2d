"""Building an export: work of the kind `jobs.export`, see `services.exporting` for who asks.

All of it is written into a folder of its own, put in place and told of in one step of the work. A
worker that dies before leaves a folder for the cleanup of uploads, and the next one begins anew;
one that dies after it finds the export built.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.db.models.functions import Now

from apps.jobs import storage, telling
from apps.jobs.contents import Contents
from apps.jobs.errors import StorageFull, StorageUnavailable
from apps.jobs.formats import FORMATS, Format
from apps.jobs.models import BatchJob, Export
from apps.jobs.services.exporting import ALSO
from apps.queue.handlers import Control, RunFailed, RunStopped
from apps.queue.models import WorkItem
from apps.queue.retry import Failure, FailureClass
from apps.queue.work_items import step


def run(item: WorkItem, control: Control) -> dict[str, Any]:
    """Builds the export that `item` is for. Raises RunFailed and RunStopped."""
    export = Export.objects.filter(item=item).first()
    if export is None:
        raise RunFailed(_gone("The export was deleted, or a job of it."))
    if export.content_id is None:
        _build(export, item, control)
        export.refresh_from_db()
    return {"export": str(export.pk), "complete": export.is_complete}


def _build(export: Export, item: WorkItem, control: Control) -> None:
    made = FORMATS[export.format]

    def tell(done: int, total: int) -> None:
        control.report(f"{done} of {total}", done / total)

    jobs = BatchJob.objects.in_organization(export.organization).filter(exports=export)
    contents = Contents.of(list(jobs.order_by("created_at", "pk"))).telling(tell)
    if len(contents.sections) != len(item.payload["jobs"]):
        raise RunFailed(_gone("A job of the export was deleted."))
    folder = storage.new_incoming_folder()
    try:
        incoming = _written(made, contents, folder, control)
        [incoming] = storage.bring(export.organization, [incoming])
        with step(item):
            _put_in_place(export, contents, incoming)
    except (StorageFull, StorageUnavailable) as full:
        detail, after = full.detail, full.retry_after
        failure = Failure(FailureClass.INFRA, "queue.storage", detail, retry_after=after)
        raise RunFailed(failure) from full
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _written(made: Format, contents: Contents, folder: Path, control: Control) -> storage.Incoming:
    """The whole export in a file in `folder`, synced. Raises StorageFull and RunStopped."""
    # About as much as it comes to: compressed is less, and never is it much more.
    storage.check_room(contents.size_bytes)
    path, digest = folder / "export", hashlib.sha256()
    with storage.refusing_when_full(), path.open("wb") as sink:
        for chunk in _until_stopped(made.write(contents), control):
            digest.update(chunk)
            sink.write(chunk)
        sink.flush()
        os.fsync(sink.fileno())
        return storage.Incoming(path, digest.hexdigest(), sink.tell())


def _until_stopped(chunks: Iterator[bytes], control: Control) -> Iterator[bytes]:
    for chunk in chunks:
        if control.should_stop():
            raise RunStopped
        yield chunk


def _put_in_place(export: Export, contents: Contents, incoming: storage.Incoming) -> None:
    """In the step's transaction. Raises RunFailed when the export was deleted meanwhile."""
    blob = storage.put(export.organization, incoming)
    if not Export.objects.filter(pk=export.pk).update(
        content=blob,
        fingerprint=contents.fingerprint(export.format),
        is_complete=contents.is_complete,
        name=contents.download_name(export.format),
        ready_at=Now(),
    ):
        raise RunFailed(_gone("The export was deleted, or a job of it."))
    export.refresh_from_db()
    also = export.item.payload.get(ALSO, []) if export.item else []
    telling.tell_export_ready(export, also=also)


def _gone(detail: str) -> Failure:
    return Failure(FailureClass.PERMANENT, "export.gone", detail)
