"""Endpoints, what is to be told to them, and every try at it."""

from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.models import OrganizationOwned, OrganizationQuerySet
from apps.accounts.names import NAME_MAX_LENGTH
from apps.core.addresses import MAX_URL
from apps.core.ids import uuid7
from apps.queue.models import in_states

KEPT_FOR = timedelta(days=30)
"""How long what was told, or could not be, is in the log and can be sent again."""
HEAD_BYTES = 1024
"""Of an answer, which the log keeps."""
LOG_SHOWN = 50


class EndpointState(models.TextChoices):
    ENABLED = "enabled"
    DISABLED = "disabled"


class DisabledReason(models.TextChoices):
    """Why nothing is sent there."""

    BY_PERSON = "by_person", "somebody disabled it"
    GONE = "gone", "it answered 410: it wants no more"
    FAILING = "failing", "it did not take messages for too long"


class DeliveryState(models.TextChoices):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class EndpointQuerySet(OrganizationQuerySet["Endpoint"]):
    def enabled(self) -> Self:
        return self.filter(state=EndpointState.ENABLED)


class Endpoint(OrganizationOwned):
    """Where an organization wants to be told of events.

    `failed_in_row` counts tries, `given_up_in_row` messages of which every try failed; both begin
    anew with an answer that was good. Nothing is sent before `rests_until`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=NAME_MAX_LENGTH, blank=True, default="")
    url = models.CharField(max_length=MAX_URL)
    events = models.JSONField(default=list)
    sealed_secret = models.TextField()
    sealed_previous = models.TextField(blank=True, default="")
    previous_until = models.DateTimeField(null=True)
    state = models.CharField(max_length=8, choices=EndpointState, default=EndpointState.ENABLED)
    disabled_reason = models.CharField(
        max_length=16, choices=DisabledReason, blank=True, default=""
    )
    disabled_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    failed_in_row = models.PositiveIntegerField(default=0)
    given_up_in_row = models.PositiveIntegerField(default=0)
    rests_until = models.DateTimeField(null=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[Any] = EndpointQuerySet.as_manager()

    class Meta:
        verbose_name = "webhook endpoint"
        indexes = [
            models.Index(fields=["organization", "-created_at", "-id"], name="endpoint_list"),
        ]

    def __str__(self) -> str:
        return self.name or self.url

    @property
    def is_enabled(self) -> bool:
        return self.state == EndpointState.ENABLED

    def has_previous(self, now: datetime) -> bool:
        """Whether messages are signed with the secret before this one as well."""
        return self.previous_until is not None and now < self.previous_until


class DeliveryQuerySet(OrganizationQuerySet["Delivery"]):
    def pending(self) -> Self:
        return self.filter(in_states({DeliveryState.PENDING}))

    def old(self) -> Self:
        """Those that ended so long ago that they leave the log."""
        return self.filter(ended_at__lt=Now() - KEPT_FOR)


class Delivery(OrganizationOwned):
    """One event that is to be told to one endpoint: written with what it tells of, and sent by the
    work `work_id`. `body` is sent as it is."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries")
    event_id = models.UUIDField()
    event = models.CharField(max_length=64)
    body = models.TextField()
    state = models.CharField(max_length=12, choices=DeliveryState, default=DeliveryState.PENDING)
    tries = models.PositiveIntegerField(default=0)
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=300, blank=True, default="")
    work_id = models.UUIDField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = "webhook delivery"
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "event_id"], name="event_once_per_endpoint")
        ]
        indexes = [
            models.Index(fields=["endpoint", "-created_at", "-id"], name="delivery_log"),
            models.Index(fields=["ended_at"], name="delivery_ended"),
            models.Index(
                fields=["id"], name="delivery_pending", condition=models.Q(state="pending")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.event_id}"

    def latest_tries(self) -> "models.QuerySet[Try]":
        """At most LOG_SHOWN, the latest first."""
        return Try.objects.filter(delivery=self).order_by("-number")[:LOG_SHOWN]


class Try(models.Model):
    """One request that was sent, or was to be: written once, never changed."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="log")
    number = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField()
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=300, blank=True, default="")
    answer = models.TextField(blank=True, default="")

    class Meta:
        verbose_name_plural = "tries"
        constraints = [
            models.UniqueConstraint(fields=["delivery", "number"], name="tries_are_numbered")
        ]

    def __str__(self) -> str:
        return f"no. {self.number}"
