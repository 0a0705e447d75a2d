"""Endpoints: list, add, read, change, delete, try out, give a new secret."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.actor import Actor
from apps.core.browsable import Offer
from apps.core.filters import refuse_unknown_parameters
from apps.core.schema import refuses
from apps.webhooks.api import offers
from apps.webhooks.api.common import WebhookView
from apps.webhooks.api.serializers import (
    DeliverySerializer,
    EndpointChangeSerializer,
    EndpointSerializer,
    EndpointWithSecretSerializer,
    NewEndpointSerializer,
    SecretSerializer,
)
from apps.webhooks.changes import read_change, read_new
from apps.webhooks.errors import EndpointDisabled, SecretLost, TooManyEndpoints
from apps.webhooks.models import Endpoint, EndpointQuerySet
from apps.webhooks.outbox import send_test
from apps.webhooks.reading import endpoint_of, endpoints_of
from apps.webhooks.services import (
    add_endpoint,
    change_endpoint,
    delete_endpoint,
    reveal_secret,
    rotate_secret,
)


def with_secret(
    request: Request, endpoint: Endpoint, secret: str, code: int = status.HTTP_200_OK
) -> Response:
    context = {"request": request, "secret": secret}
    return Response(EndpointWithSecretSerializer(endpoint, context=context).data, status=code)


class EndpointList(WebhookView, generics.ListAPIView[Endpoint]):
    """Where your organization is told of what happens, the newest first, in pages.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/webhooks

    Owners and admins add endpoints. The answer has the secret with which messages are signed:

        curl -X POST -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
            -d '{"url": "https://example.com/hook", "events": ["batch_job.succeeded"]}' \\
            $DOCMILL/api/webhooks
    """

    name = "Webhooks"
    serializer_class = EndpointSerializer
    queryset = Endpoint.objects.none()

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_adding(request)

    def get_queryset(self) -> EndpointQuerySet:
        mine = endpoints_of(Actor.of_request(self.request))
        return mine.select_related("created_by")

    @extend_schema(
        operation_id="webhook_add",
        summary="Add an endpoint",
        request=NewEndpointSerializer,
        responses={201: EndpointWithSecretSerializer},
    )
    @refuses(TooManyEndpoints)
    def post(self, request: Request) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        actor.require("create", "webhooks")
        endpoint, secret = add_endpoint(actor=actor, **read_new(offers.fields_of(request)))
        return with_secret(request, endpoint, secret, status.HTTP_201_CREATED)


class EndpointDetail(WebhookView):
    """One endpoint.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/webhooks/$ENDPOINT

    Change its address, name or events, or whether it is enabled:

        curl -X PATCH -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
            -d '{"enabled": false}' $DOCMILL/api/webhooks/$ENDPOINT

    Delete it, with its log and what is still to be sent to it:

        curl -X DELETE -H "Authorization: Bearer $KEY" $DOCMILL/api/webhooks/$ENDPOINT
    """

    name = "Webhook"
    below = (("webhook-deliveries", "What was sent to it, and what came of it."),)

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_endpoint(request, self.kwargs["endpoint_id"])

    @extend_schema(operation_id="webhook_read", responses=EndpointSerializer)
    def get(self, request: Request, endpoint_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        return self._shown(endpoint_of(Actor.of_request(request), endpoint_id))

    @extend_schema(
        operation_id="webhook_change",
        request=EndpointChangeSerializer,
        responses=EndpointSerializer,
    )
    def patch(self, request: Request, endpoint_id: UUID) -> Response:
        """Change an endpoint."""
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        endpoint = endpoint_of(actor, endpoint_id)
        actor.require("update", "webhooks")
        changes = read_change(offers.fields_of(request))
        return self._shown(change_endpoint(actor=actor, endpoint=endpoint, changes=changes))

    @extend_schema(
        operation_id="webhook_delete", summary="Delete an endpoint", responses={204: None}
    )
    def delete(self, request: Request, endpoint_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        delete_endpoint(actor=actor, endpoint=endpoint_of(actor, endpoint_id))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _shown(self, endpoint: Endpoint) -> Response:
        return Response(EndpointSerializer(endpoint, context={"request": self.request}).data)


class EndpointTest(WebhookView):
    """Send an endpoint a message that tells of nothing, webhook.test.

        curl -X POST -H "Authorization: Bearer $KEY" $DOCMILL/api/webhooks/$ENDPOINT/test

    It is sent like any other: what came of it is in the log a moment later.
    """

    name = "Try a webhook"

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_doing(request, self.kwargs["endpoint_id"], Offer("Send a test"))

    @extend_schema(operation_id="webhook_test", request=None, responses={202: DeliverySerializer})
    @refuses(EndpointDisabled)
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        delivery = send_test(actor=actor, endpoint=endpoint_of(actor, endpoint_id))
        told = DeliverySerializer(delivery, context={"request": request}).data
        return Response(told, status=status.HTTP_202_ACCEPTED)


class EndpointRotate(WebhookView):
    """Give an endpoint a new secret.

        curl -X POST -H "Authorization: Bearer $KEY" $DOCMILL/api/webhooks/$ENDPOINT/rotate

    For 24 hours messages are signed with the old one as well, so that the receiver can change over.
    """

    name = "Rotate the secret of a webhook"

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_doing(request, self.kwargs["endpoint_id"], Offer("Make a new secret"))

    @extend_schema(
        operation_id="webhook_rotate", request=None, responses=EndpointWithSecretSerializer
    )
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        endpoint = endpoint_of(actor, endpoint_id)
        return with_secret(request, *rotate_secret(actor=actor, endpoint=endpoint))


class EndpointSecret(WebhookView):
    """The secret of an endpoint.

        curl -X POST -H "Authorization: Bearer $KEY" $DOCMILL/api/webhooks/$ENDPOINT/secret

    For owners and admins. That it was shown is in the audit log.
    """

    name = "Secret of a webhook"

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_doing(request, self.kwargs["endpoint_id"], Offer("Show the secret"))

    @extend_schema(operation_id="webhook_secret", request=None, responses=SecretSerializer)
    @refuses(SecretLost)
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        secret = reveal_secret(actor=actor, endpoint=endpoint_of(actor, endpoint_id))
        return Response(SecretSerializer({"secret": secret}).data)
