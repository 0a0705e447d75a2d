"""Invitations: list, send, send again, revoke."""

from uuid import UUID

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.actor import Actor
from apps.accounts.api import offers
from apps.accounts.api.serializers import InvitationSerializer, InviteSerializer
from apps.accounts.errors import AlreadyInvited, AlreadyMember, PersonalOrganization, TooMany
from apps.accounts.given import fields_of, read_role, read_text
from apps.accounts.models import Invitation
from apps.accounts.reading import invitation_of
from apps.accounts.services import revoke_invitation
from apps.core.browsable import Offer
from apps.core.filters import refuse_unknown_parameters
from apps.core.schema import refuses
from apps.web.inviting import send_again, send_invitation


@extend_schema_view(get=extend_schema(operation_id="invitation_list", tags=["organization"]))
class InvitationList(generics.ListAPIView[Invitation]):
    """Who was invited to your organization and has not accepted yet, the newest first, in pages.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/invitations

    Owners and admins invite somebody, with a role that they may give:

        curl -X POST -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
            -d '{"email": "mina@example.com", "role": "contributor"}' $DOCMILL/api/invitations

    A link is mailed to the address, good for seven days. Its reader accepts with their account, or
    makes one, also where nobody may sign up.
    """

    name = "Invitations"
    limiters = ("api",)
    counted_within = ("auth",)
    serializer_class = InvitationSerializer
    queryset = Invitation.objects.none()

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_invitations(request)

    def get_queryset(self) -> QuerySet[Invitation]:
        actor = Actor.of_request(self.request)
        actor.require("read", "members")
        rows = Invitation.objects.in_organization(actor.organization)
        return rows.select_related("invited_by")

    @extend_schema(
        operation_id="invitation_send",
        tags=["organization"],
        summary="Invite somebody",
        request=InviteSerializer,
        responses={201: InvitationSerializer},
    )
    @refuses(AlreadyMember, AlreadyInvited, PersonalOrganization, TooMany)
    def post(self, request: Request) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        actor.require("create", "members")
        fields = fields_of(request.data, "email", "role")
        role = read_role(fields)
        assert role is not None  # it is required
        email = read_text(fields, "email")
        invitation = send_invitation(request=request, actor=actor, email=email, role=role)
        told = _told(request, invitation)
        return Response(told, status.HTTP_201_CREATED, headers={"Location": str(told["url"])})


class InvitationDetail(APIView):
    """One invitation.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/invitations/$INVITATION

    Revoke it, and its link leads nowhere from then on:

        curl -X DELETE -H "Authorization: Bearer $KEY" $DOCMILL/api/invitations/$INVITATION
    """

    name = "Invitation"
    limiters = ("api",)

    def offers(self, request: Request) -> list[Offer]:
        found = invitation_of(Actor.of_request(request), self.kwargs["invitation_id"])
        offered = offers.of_invitation(request, found)
        again = reverse("invitation-resend", args=[found.pk])
        return [Offer("Send it again", url=again), *offered] if offered else []

    @extend_schema(
        operation_id="invitation_read", tags=["organization"], responses=InvitationSerializer
    )
    def get(self, request: Request, invitation_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        actor.require("read", "members")
        return Response(_told(request, invitation_of(actor, invitation_id)))

    @extend_schema(
        operation_id="invitation_revoke",
        tags=["organization"],
        summary="Revoke an invitation",
        responses={204: None},
    )
    def delete(self, request: Request, invitation_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        revoke_invitation(actor=actor, invitation=invitation_of(actor, invitation_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class InvitationResend(APIView):
    """Mail an invitation once more; its seven days begin anew.

        curl -X POST -H "Authorization: Bearer $KEY" $DOCMILL/api/invitations/$INVITATION/resend

    It is in the name of who sends it last.
    """

    name = "Send an invitation again"
    limiters = ("api",)
    counted_within = ("auth",)

    def offers(self, request: Request) -> list[Offer]:
        found = invitation_of(Actor.of_request(request), self.kwargs["invitation_id"])
        return [Offer("Send it again")] if offers.of_invitation(request, found) else []

    @extend_schema(
        operation_id="invitation_resend",
        tags=["organization"],
        request=None,
        responses=InvitationSerializer,
    )
    def post(self, request: Request, invitation_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        invitation = invitation_of(actor, invitation_id)
        return Response(
            _told(request, send_again(request=request, actor=actor, invitation=invitation))
        )


def _told(request: Request, invitation: Invitation) -> dict[str, object]:
    return InvitationSerializer(invitation, context={"request": request}).data
