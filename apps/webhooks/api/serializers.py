"""How endpoints and messages look from outside. Fields may be added; these stay."""

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from apps.accounts.names import NAME_MAX_LENGTH
from apps.core.addresses import MAX_URL
from apps.webhooks.events import EVENTS
from apps.webhooks.models import Delivery, Endpoint, EndpointState, Try


class EventField(serializers.ChoiceField):
    def __init__(self) -> None:
        super().__init__(choices=list(EVENTS))


class NewEndpointSerializer(serializers.Serializer[Any]):
    url = serializers.CharField(max_length=MAX_URL, help_text="https:// or http://, public.")
    events = serializers.ListField(
        child=EventField(), required=False, help_text="Those of jobs where none are given."
    )
    name = serializers.CharField(max_length=NAME_MAX_LENGTH, required=False, allow_blank=True)


class EndpointChangeSerializer(serializers.Serializer[Any]):
    """What of an endpoint can be changed: at least one."""

    url = serializers.CharField(max_length=MAX_URL, required=False)
    events = serializers.ListField(child=EventField(), required=False)
    name = serializers.CharField(max_length=NAME_MAX_LENGTH, required=False, allow_blank=True)
    enabled = serializers.BooleanField(required=False)


class SecretSerializer(serializers.Serializer[Any]):
    secret = serializers.CharField(help_text="whsec_ and base64; keep it where the receiver is.")


class EndpointSerializer(serializers.ModelSerializer[Endpoint]):
    """An endpoint, as lists show it."""

    events = serializers.ListField(child=EventField())
    state = serializers.ChoiceField(choices=EndpointState.choices)
    disabled_reason = serializers.SerializerMethodField(help_text="Empty while it is enabled.")
    old_secret_until = serializers.DateTimeField(
        source="previous_until",
        allow_null=True,
        help_text="Until then messages are also signed with the secret before the latest.",
    )
    failing_since = serializers.DateTimeField(
        allow_null=True, help_text="The first try that failed since one was taken."
    )
    created_by = serializers.SerializerMethodField()
    self_url = serializers.SerializerMethodField()
    deliveries_url = serializers.SerializerMethodField()

    class Meta:
        model = Endpoint
        fields = [
            "id",
            "name",
            "url",
            "events",
            "state",
            "disabled_reason",
            "disabled_at",
            "failing_since",
            "old_secret_until",
            "created_by",
            "created_at",
            "self_url",
            "deliveries_url",
        ]

    def get_disabled_reason(self, endpoint: Endpoint) -> str:
        return str(endpoint.get_disabled_reason_display())

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_created_by(self, endpoint: Endpoint) -> str | None:
        return endpoint.created_by.email if endpoint.created_by else None

    def get_self_url(self, endpoint: Endpoint) -> str:
        return self._absolute("webhook", endpoint)

    def get_deliveries_url(self, endpoint: Endpoint) -> str:
        return self._absolute("webhook-deliveries", endpoint)

    def _absolute(self, name: str, endpoint: Endpoint) -> str:
        return str(reverse(name, args=[endpoint.pk], request=self.context.get("request")))


class EndpointWithSecretSerializer(EndpointSerializer):
    """An endpoint that was just made, or given a new secret."""

    secret = serializers.SerializerMethodField()

    class Meta(EndpointSerializer.Meta):
        fields = [*EndpointSerializer.Meta.fields, "secret"]

    def get_secret(self, _: Endpoint) -> str:
        return str(self.context["secret"])


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """A message to one endpoint, as lists show it."""

    endpoint_id = serializers.UUIDField()
    event_id = serializers.UUIDField(help_text="The webhook-id: the same however often it is sent.")
    status = serializers.IntegerField(
        allow_null=True, help_text="Of the last answer; null where there was none."
    )
    url = serializers.SerializerMethodField()

    class Meta:
        model = Delivery
        fields = [
            "id",
            "endpoint_id",
            "event_id",
            "event",
            "state",
            "tries",
            "status",
            "error",
            "created_at",
            "ended_at",
            "url",
        ]

    def get_url(self, delivery: Delivery) -> str:
        request = self.context.get("request")
        return str(reverse("webhook-delivery", args=[delivery.pk], request=request))


class TrySerializer(serializers.ModelSerializer[Try]):
    """One request that was sent, or was to be."""

    status = serializers.IntegerField(allow_null=True)
    answer = serializers.CharField(help_text="The first bytes of what was answered.")

    class Meta:
        model = Try
        fields = ["number", "started_at", "duration_ms", "status", "error", "answer"]


class DeliveryDetailSerializer(DeliverySerializer):
    """A message with what is sent, and every try at it, the latest first."""

    body = serializers.SerializerMethodField()
    log = serializers.SerializerMethodField()

    class Meta(DeliverySerializer.Meta):
        fields = [*DeliverySerializer.Meta.fields, "body", "log"]

    @extend_schema_field(serializers.DictField())
    def get_body(self, delivery: Delivery) -> Any:
        return json.loads(delivery.body)

    @extend_schema_field(TrySerializer(many=True))
    def get_log(self, delivery: Delivery) -> Any:
        return TrySerializer(delivery.latest_tries(), many=True).data
