"""Messages: list, read, send again."""

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.forms import CheckboxSelectMultiple
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.actor import Actor
from apps.core.browsable import Offer
from apps.core.filters import refuse_unknown_parameters
from apps.core.schema import refuses
from apps.webhooks.api.common import WebhookView
from apps.webhooks.api.serializers import DeliveryDetailSerializer, DeliverySerializer
from apps.webhooks.errors import EndpointDisabled
from apps.webhooks.events import EVENTS, TEST
from apps.webhooks.models import Delivery, DeliveryState
from apps.webhooks.outbox import redeliver
from apps.webhooks.reading import delivery_of, endpoint_of


class DeliveryFilter(django_filters.FilterSet):
    state = django_filters.MultipleChoiceFilter(
        choices=DeliveryState.choices,
        widget=CheckboxSelectMultiple,
        label="State",
        help_text="One or more.",
    )
    event = django_filters.ChoiceFilter(
        choices=[(event, event) for event in (*EVENTS, TEST)],
        label="Event",
        empty_label="any",
        help_text="One.",
    )


class DeliveryList(WebhookView, generics.ListAPIView[Delivery]):
    """What is sent to an endpoint and what came of it, the newest first, in pages.

        curl -H "Authorization: Bearer $KEY" \\
            "$DOCMILL/api/webhooks/$ENDPOINT/deliveries?state=pending"

    Messages that were taken, or could not be, stay for 30 days.
    """

    name = "Deliveries of a webhook"
    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilter
    queryset = Delivery.objects.none()

    def get_queryset(self) -> QuerySet[Delivery]:
        if "endpoint_id" not in self.kwargs:  # the schema generator asks without a URL
            empty: QuerySet[Delivery] = self.queryset
            return empty
        endpoint = endpoint_of(Actor.of_request(self.request), self.kwargs["endpoint_id"])
        found: QuerySet[Delivery] = Delivery.objects.filter(endpoint=endpoint)
        return found


class DeliveryDetail(WebhookView):
    """One message, with what is sent and every try at it.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/webhooks/deliveries/$DELIVERY

    The latest of its tries comes first; of an answer the first bytes are kept.
    """

    name = "Delivery"

    @extend_schema(operation_id="delivery_read", responses=DeliveryDetailSerializer)
    def get(self, request: Request, delivery_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        return shown(request, delivery_of(Actor.of_request(request), delivery_id))


class DeliveryAgain(WebhookView):
    """Send a message again.

        curl -X POST -H "Authorization: Bearer $KEY" \\
            $DOCMILL/api/webhooks/deliveries/$DELIVERY/redeliver

    It has the webhook-id that it had. One that waits for its next try is tried at once.
    """

    name = "Send a message again"

    def offers(self, request: Request) -> list[Offer]:
        actor = Actor.of_request(request)
        delivery_of(actor, self.kwargs["delivery_id"])
        return [Offer("Send it again")] if actor.may("update", "webhooks") else []

    @extend_schema(
        operation_id="delivery_redeliver", request=None, responses={202: DeliveryDetailSerializer}
    )
    @refuses(EndpointDisabled)
    def post(self, request: Request, delivery_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        delivery = redeliver(actor=actor, delivery=delivery_of(actor, delivery_id))
        return shown(request, delivery, status.HTTP_202_ACCEPTED)


def shown(request: Request, delivery: Delivery, code: int = status.HTTP_200_OK) -> Response:
    context: dict[str, Any] = {"request": request}
    return Response(DeliveryDetailSerializer(delivery, context=context).data, status=code)
