"""The rows of uploads that come in parts: begun, written on by one at a time, used once.

Every step of a writer is one conditional UPDATE. A newer writer takes over from an older one, whose
next step then changes nothing: nobody waits for a connection that hangs.
"""

from collections.abc import Collection, Iterable
from datetime import timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from apps.accounts.actor import Actor
from apps.accounts.models import Organization
from apps.core.errors import FieldError, NotFound
from apps.jobs import storage
from apps.jobs.errors import TooManyUploads, UploadGone, WrongOffset, require_batches
from apps.jobs.models import UploadSession

KEPT_FOR = timedelta(hours=24)
"""How long an upload may stand still, or wait to be submitted."""
BEGUN_WITHIN = timedelta(hours=1)
"""How long one of which nothing was stored is kept: its maker may never have heard of it."""
GONE = "It was submitted before, removed, or its time was over."


def begin_upload(*, actor: Actor, name: str, size_bytes: int) -> UploadSession:
    """A new upload of the actor's. Raises Forbidden, BatchesOff, TooManyUploads, and
    StorageFull."""
    actor.require("create", "jobs")
    require_batches()
    storage.check_room(size_bytes)
    with transaction.atomic():
        # One after the other: of many at once no more than the limits get in.
        Organization.objects.select_for_update(no_key=True).get(pk=actor.organization.pk)
        _require_few(actor, size_bytes)
        upload: UploadSession = UploadSession.objects.create(
            organization=actor.organization,
            user=actor.user,
            name=name,
            size_bytes=size_bytes,
            expires_at=timezone.now() + (BEGUN_WITHIN if size_bytes else KEPT_FOR),
        )
    return upload


def _require_few(actor: Actor, size_bytes: int) -> None:
    """Raises TooManyUploads when the actor has too many, or their organization's are too large."""
    uploads = UploadSession.objects.in_organization(actor.organization).live()
    if uploads.filter(user=actor.user).count() >= settings.BATCH_MAX_UPLOADS:
        raise TooManyUploads(
            f"{settings.BATCH_MAX_UPLOADS} uploads of yours are not submitted yet. Submit or "
            "remove some."
        )
    begun = uploads.aggregate(total=Sum("size_bytes"))["total"] or 0
    if begun + size_bytes > settings.BATCH_MAX_UPLOAD_BYTES:
        raise TooManyUploads(
            f"The uploads of {actor.organization.name} that are not submitted yet are "
            f"{begun} bytes, and may be {settings.BATCH_MAX_UPLOAD_BYTES}. Submit or remove some."
        )


def take_over(upload: UploadSession, *, offset_bytes: int) -> tuple[UploadSession, UUID, bool]:
    """The upload as it is now that the caller writes on it from `offset_bytes` on, the caller's
    token, and whether nobody else may still be writing to its file.

    Raises WrongOffset, and NotFound when it is gone.
    """
    writer = uuid4()
    mine = UploadSession.objects.live().filter(pk=upload.pk, offset_bytes=offset_bytes)
    is_alone = bool(mine.filter(writer=None).update(writer=writer))
    if not is_alone and not mine.update(writer=writer):
        raise wrong_offset(upload)
    taken = UploadSession.objects.filter(pk=upload.pk, writer=writer).first()
    if taken is None:
        raise wrong_offset(upload)
    return taken, writer, is_alone


def add_stored(
    upload: UploadSession, *, writer: UUID, stored_as: UUID, size_bytes: int, is_last: bool
) -> None:
    """Counts `size_bytes` more that are on disk and synced. Raises WrongOffset when somebody took
    over, and NotFound when it is gone."""
    reached = upload.offset_bytes + size_bytes
    expires_at = timezone.now() + KEPT_FOR
    counted = UploadSession.objects.filter(
        pk=upload.pk, writer=writer, offset_bytes=upload.offset_bytes
    ).update(
        offset_bytes=reached,
        stored_as=stored_as,
        expires_at=expires_at,
        writer=None if is_last else writer,
    )
    if not counted:
        raise wrong_offset(upload)
    upload.offset_bytes, upload.stored_as, upload.expires_at = reached, stored_as, expires_at


def let_go(upload: UploadSession, *, writer: UUID) -> None:
    """Its writer writes no more, and added nothing since the last time."""
    UploadSession.objects.filter(pk=upload.pk, writer=writer).update(writer=None)


def wrong_offset(upload: UploadSession) -> WrongOffset:
    """Where it goes on. Raises NotFound when it is gone."""
    now = UploadSession.objects.live().filter(pk=upload.pk).first()
    if now is None:
        raise NotFound("There is no such upload.")
    return WrongOffset(now.offset_bytes)


def remove_upload(upload: UploadSession) -> None:
    """Removes it, and its bytes once that is committed."""
    UploadSession.objects.filter(pk=upload.pk).delete()
    storage.remove_partial_on_commit([upload.pk])


def use_uploads(actor: Actor, ids: Collection[UUID]) -> None:
    """Takes finished uploads of the actor's for the job that the caller's transaction stores: each
    is taken once. Raises UploadGone."""
    if not ids:
        return
    mine = UploadSession.objects.in_organization(actor.organization).filter(user=actor.user)
    # In one order everywhere, so that two submissions cannot deadlock.
    locked = mine.finished().filter(pk__in=ids).select_for_update().order_by("pk")
    found = {upload.pk for upload in locked}
    if len(found) < len(ids):
        raise uploads_gone(pk for pk in ids if pk not in found)
    UploadSession.objects.filter(pk__in=found).delete()
    storage.remove_partial_on_commit(found)


def uploads_gone(ids: Iterable[UUID]) -> UploadGone:
    errors = [FieldError("upload_ids", "gone", f"{pk}: {GONE}") for pk in ids]
    return UploadGone("Nothing was submitted; upload these files again.", errors=errors)
