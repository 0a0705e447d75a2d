"""Pauses of the queue: those that concern an organization, and its own."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.actor import Actor
from apps.accounts.errors import Forbidden
from apps.core.browsable import Offer
from apps.core.filters import refuse_unknown_parameters
from apps.jobs.api import offers
from apps.jobs.api.serializers import PausesSerializer, ReasonSerializer
from apps.jobs.changes import read_reason
from apps.jobs.pausing import pauses_of_queue, was_an_operators
from apps.queue.pauses import pause, resume


class OrganizationPause(APIView):
    """What is paused: everything, a lane, or your organization; by whom, why, since and until when.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/pause

    While a pause is in force nothing new starts of what it holds; what runs goes on. Owners and
    admins pause their organization, with a reason or without, and let it go on:

        curl -X POST -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
            -d '{"reason": "End of the year"}' $DOCMILL/api/batch/pause

        curl -X DELETE -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/pause

    Twice is once. Pauses of a lane and of everything are the operators'.
    """

    name = "Pause"
    limiters = ("api",)

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_pausing(request)

    @extend_schema(operation_id="pause_read", responses=PausesSerializer)
    def get(self, request: Request) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        actor.require("read", "jobs")
        return _shown(actor)

    @extend_schema(
        operation_id="organization_pause",
        summary="Pause your organization",
        request=ReasonSerializer,
        responses=PausesSerializer,
    )
    def post(self, request: Request) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        _require_own(actor)
        reason = read_reason(request.data)
        pause(by=actor.user, organization=actor.organization, reason=reason)
        return _shown(actor)

    @extend_schema(
        operation_id="organization_resume",
        summary="Let your organization go on",
        responses={200: PausesSerializer},
    )
    def delete(self, request: Request) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        _require_own(actor)
        resume(by=actor.user, organization=actor.organization)
        return _shown(actor)


def _require_own(actor: Actor) -> None:
    """Raises Forbidden unless the actor may pause the organization, and no operator has."""
    actor.require("update", "organization")
    if any(map(was_an_operators, pauses_of_queue(actor.organization.pk))):
        raise Forbidden("An operator of this installation paused your organization: ask them.")


def _shown(actor: Actor) -> Response:
    return Response(PausesSerializer({"pauses": pauses_of_queue(actor.organization.pk)}).data)
