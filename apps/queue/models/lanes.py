"""What holds work back and orders it: limits of lanes, pauses, shares of organizations."""

from collections.abc import Iterable
from typing import Self
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.models import Organization
from apps.queue.models.rows import Priority


class Lane(models.Model):
    """What an operator has set for a lane; no row means the settings' defaults."""

    name = models.CharField(primary_key=True, max_length=16)
    max_running = models.PositiveSmallIntegerField(null=True, blank=True)
    max_running_per_organization = models.PositiveSmallIntegerField(null=True, blank=True)

    class Meta:
        verbose_name = "lane's limits"
        verbose_name_plural = "limits of lanes"

    def __str__(self) -> str:
        return self.name


class Board(Lane):
    """No rows of its own: who may see the board of the queue, and where the admin lists it."""

    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = verbose_name_plural = "board"


class PauseQuerySet(models.QuerySet["Pause"]):
    def in_force(self) -> Self:
        """Those that have not run out, by the database's clock."""
        return self.filter(models.Q(until=None) | models.Q(until__gt=Now()))

    def concerning(self, organization_ids: Iterable[UUID]) -> Self:
        """Those in force that hold back any of these organizations, the widest first."""
        theirs = models.Q(organization=None) | models.Q(organization__in=list(organization_ids))
        nobodys_first = models.F("organization").asc(nulls_first=True)
        return self.in_force().filter(theirs).order_by(nobodys_first, "lane")


class Pause(models.Model):
    """Nothing new is claimed from `lane` ("" for every one) for `organization` (None for all).

    Who paused it and why is shown wherever its absence would puzzle somebody. The engine's own
    (`paused_by` None) end by themselves at `until`.
    """

    lane = models.CharField(max_length=16, blank=True, default="")
    organization = models.ForeignKey(Organization, null=True, on_delete=models.CASCADE)
    reason = models.CharField(max_length=200, blank=True, default="")
    paused_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(null=True, blank=True)

    objects = PauseQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["lane", "organization"],
                condition=models.Q(organization__isnull=False),
                name="one_pause_per_organization",
            ),
            models.UniqueConstraint(
                fields=["lane"],
                condition=models.Q(organization__isnull=True),
                name="one_pause_per_lane",
            ),
        ]

    def __str__(self) -> str:
        lane = f"lane {self.lane}" if self.lane else "every lane"
        return lane if self.organization_id is None else f"{lane} of {self.organization_id}"


class FairShare(models.Model):
    """The rank that an organization's latest row of a lane and priority was given (start-time fair
    queuing): each priority is a line of its own."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE)
    lane = models.CharField(max_length=16)
    priority = models.SmallIntegerField(choices=Priority, default=Priority.NORMAL)
    last_rank = models.FloatField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["lane", "organization", "priority"], name="one_share_per_line"
            )
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} in {self.lane}"
