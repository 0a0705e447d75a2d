"""The audit log: chains of entries that are only ever added to."""

from datetime import UTC
from typing import Any, ClassVar, NoReturn, Self

from django.conf import settings
from django.db import connections, models
from django.db.models.functions import Cast

from apps.audit.chain import GENESIS, Head, Link, digest
from apps.audit.signing import Signed, Statement
from apps.core.ids import uuid7

SYSTEM = "system"
"""The chain of what belongs to no organization, and who acts when no person does."""
HASH_LENGTH = 64


def chain_of(organization: models.Model | None) -> str:
    """The name of the organization's chain; SYSTEM for None.

    Raises ValueError for an organization that was just deleted: its id is gone, so what is to be
    kept of it is recorded before.
    """
    if organization is None:
        return SYSTEM
    if organization.pk is None:
        raise ValueError("The organization has no id.")
    return str(organization.pk)


class ChainQuerySet(models.QuerySet["Chain"]):
    def locked(self) -> Self:
        """For an entry to be added; with `is_taken`, whether one has the next number already."""
        following = AuditEntry.objects.filter(
            chain=models.OuterRef("pk"), number=models.OuterRef("number") + 1
        )
        return self.select_for_update(of=("self",)).annotate(is_taken=models.Exists(following))


class Chain(models.Model):
    """The end of a chain. Who adds an entry locks this row, so numbers have no gaps."""

    name = models.CharField(primary_key=True, max_length=36)
    number = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=HASH_LENGTH, default=GENESIS)

    is_taken: bool  # where a query brings it

    objects: ClassVar[Any] = ChainQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    def head(self) -> Head:
        return Head(self.number, self.hash)


class EntryQuerySet(models.QuerySet["AuditEntry"]):
    """Entries, which nobody changes."""

    def update(self, **_: Any) -> NoReturn:
        _refuse()

    def delete(self) -> NoReturn:
        _refuse()

    def bulk_create(self, *_: Any, **__: Any) -> NoReturn:
        _refuse()  # it can update, and knows of no chain

    def as_stored(self) -> Self:
        """With the texts that SQLite keeps ids and times as. Several texts are the same id or
        time, so one that was changed for another would not be seen by what it is read as."""
        if connections[self.db].vendor != "sqlite":
            return self
        return self.annotate(
            **{f"stored_{name}": Cast(name, models.TextField()) for name in AS_TEXT}
        )


AS_TEXT = ("id", "at", "organization_id")


class CheckpointQuerySet(models.QuerySet["Checkpoint"]):
    """Checkpoints, which nobody changes."""

    def update(self, **_: Any) -> NoReturn:
        _refuse()

    def delete(self) -> NoReturn:
        _refuse()


class AuditEntry(models.Model):
    """Who did what, to what, when and why. `services.record` adds one; nothing changes one.

    Saving again, updating and deleting raise TypeError, so that no mistake in Docmill's own code
    rewrites what happened. Who writes SQL past it is found by the hashes.

    The organization and the actor are named, not owned: their keys are part of what is hashed, so
    nothing may happen to them when what they point to is deleted. There is no constraint on them
    and no rule for that deletion, and the entry keeps the actor's address as a text of its own.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    chain = models.ForeignKey(Chain, on_delete=models.PROTECT, db_index=False)
    number = models.PositiveBigIntegerField()
    at = models.DateTimeField("when")
    organization = models.ForeignKey(
        "accounts.Organization",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    actor_name = models.CharField("who", max_length=254)
    action = models.CharField(max_length=64)
    target = models.CharField(max_length=64, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    # Canonical JSON as text: PostgreSQL gives numbers in its own JSON back in another form.
    detail = models.TextField(default="{}")
    reason = models.TextField(blank=True)
    previous = models.CharField(max_length=HASH_LENGTH)
    hash = models.CharField(max_length=HASH_LENGTH)

    stored_id: str  # where `as_stored` brings them
    stored_at: str
    stored_organization_id: str | None

    objects = EntryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "audit entries"
        constraints = [
            models.UniqueConstraint(fields=["chain", "number"], name="audit_entry_number_once"),
        ]
        indexes = [
            models.Index(fields=["organization", "id"], name="audit_entry_organization"),
            models.Index(fields=["actor_name", "id"], name="audit_entry_actor"),
            models.Index(fields=["action", "id"], name="audit_entry_action"),
            models.Index(fields=["target_id", "id"], name="audit_entry_target"),
        ]

    def __str__(self) -> str:
        return f"{self.chain_id} {self.number}"

    def save(self, **options: Any) -> None:
        if not self._state.adding:
            _refuse()
        super().save(**options)

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        _refuse()

    def content(self) -> dict[str, str | int | None]:
        """Every column but the two hashes, each in the one form that all databases give back."""
        return {
            "id": str(self.pk),
            "chain": self.chain_id,
            "number": self.number,
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "organization": _text(self.organization_id),
            "actor": _text(self.actor_id),
            "actor_name": self.actor_name,
            "action": self.action,
            "target": self.target,
            "target_id": self.target_id,
            "detail": self.detail,
            "reason": self.reason,
        }

    def digest(self) -> str:
        """The hash that it has to have."""
        return digest(self.content(), self.previous)

    def link(self) -> Link:
        return Link(self.number, self.content(), self.previous, self.hash)

    def is_as_written(self) -> bool:
        """Whether its id and times are stored as Django writes them, where `as_stored` asked."""
        if "stored_id" not in self.__dict__:
            return True
        owner = self.organization_id
        return (
            self.stored_id == self.pk.hex
            and self.stored_at == str(self.at.astimezone(UTC).replace(tzinfo=None))
            and self.stored_organization_id == (None if owner is None else owner.hex)
        )


class Checkpoint(models.Model):
    """That a log ended at an entry with some hash at some time, signed. Made on schedule, never
    changed. It names its log by a text, so that it outlives whatever happens to that."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    chain = models.CharField("log", max_length=36)
    number = models.PositiveBigIntegerField()
    hash = models.CharField(max_length=HASH_LENGTH)
    at = models.DateTimeField("when")
    key = models.CharField(max_length=16)
    signature = models.CharField(max_length=128)

    objects = CheckpointQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["chain", "number", "key"], name="audit_checkpoint_number_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.chain} {self.number}"

    def save(self, **options: Any) -> None:
        if not self._state.adding:
            _refuse()
        super().save(**options)

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        _refuse()

    def signed(self) -> Signed:
        at = self.at.astimezone(UTC).isoformat(timespec="microseconds")
        return Signed(Statement(self.chain, self.number, self.hash, at, self.key), self.signature)


def _text(key: object) -> str | None:
    return None if key is None else str(key)


def _refuse() -> NoReturn:
    raise TypeError("What is in the audit log is only added to, one entry at a time.")
