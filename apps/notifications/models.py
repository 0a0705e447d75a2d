"""What people were told, and what they want to be told."""

from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.db import models
from django.utils import timezone

from apps.accounts.models import Organization, OrganizationQuerySet, User
from apps.core.context import request_id_to_keep
from apps.core.ids import uuid7
from apps.notifications.kinds import KINDS, Told, kind_choices

if TYPE_CHECKING:
    from apps.accounts.actor import Actor

MANY = 100
"""From so many on nobody wants to know how many it is: the count of the unread stops there, and is
as dear for ten as for ten thousand."""


class NotificationQuerySet(OrganizationQuerySet["Notification"]):
    def shown_to(self, actor: "Actor") -> Self:
        """The actor's own, of all organizations that they are a member of today; through an API
        key, of the key's."""
        return self.told_to(actor).filter(is_shown=True)

    def told_to(self, actor: "Actor") -> Self:
        """The same, and what is only mailed to them."""
        mine = self.filter(user=actor.user).visible_to(actor.user)
        return mine.in_organization(actor.organization) if actor.key else mine

    def unread(self) -> Self:
        return self.filter(read_at=None)


class Notification(models.Model):
    """Something that one person was told. `facts` is what happened, put into words when it is read.

    There is one for each person and `key`, which names what it is about: what becomes of that later
    changes the row. A person who is just being deleted must keep nothing from ending, such as the
    last file of a job: so there is no constraint on `user`, and cleanup takes what is nobody's.

    Mails: at `mail_due_at` it goes to the piece of background work `mail`, which sends it and sets
    `mailed_at`. `request_id` is of the request from which it comes that they were told.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        User, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=32, choices=kind_choices)
    key = models.CharField(max_length=100)
    facts = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)
    told_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True)
    is_shown = models.BooleanField(default=True)
    mail_due_at = models.DateTimeField(null=True)
    mail = models.UUIDField(null=True)
    mailed_at = models.DateTimeField(null=True)
    request_id = models.CharField(
        max_length=64, blank=True, default=request_id_to_keep, db_default="", editable=False
    )

    objects: ClassVar[Any] = NotificationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "user"], name="one_notification_per_key"),
        ]
        indexes = [
            # What the list filters by stands in it too.
            models.Index(
                fields=["user", "-told_at", "-id", "organization", "kind"],
                name="notification_list",
                condition=models.Q(is_shown=True),
            ),
            # Answers the badge by itself, and the list of what is unread.
            models.Index(
                fields=["user", "-told_at", "-id", "organization", "kind"],
                name="notification_unread",
                condition=models.Q(read_at=None, is_shown=True),
            ),
            models.Index(
                fields=["mail_due_at", "user"],
                name="notification_due",
                condition=models.Q(mail_due_at__isnull=False),
            ),
            models.Index(
                fields=["mail"], name="notification_mail", condition=models.Q(mail__isnull=False)
            ),
            # None of `told_at` alone: PostgreSQL would take it for the way to somebody's newest.
        ]

    def __str__(self) -> str:
        return self.told.title

    @property
    def told(self) -> Told:
        # While versions change, a newer one may have told what this one has no words for.
        kind = KINDS.get(self.kind)
        return kind.tell(self.facts) if kind else Told("Something that a newer version tells")

    @property
    def symbol(self) -> str:
        kind = KINDS.get(self.kind)
        return self.told.symbol or (kind.symbol if kind else "bell")


class Preferences(models.Model):
    """What a person chose, by kind: see `preferences.Choices`. Who chose nothing has no row."""

    user = models.OneToOneField(
        User, on_delete=models.CASCADE, primary_key=True, related_name="notification_preferences"
    )
    choices = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "preferences"

    def __str__(self) -> str:
        return f"{self.user_id}"
