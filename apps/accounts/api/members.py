"""Members: list, read, change the role of, take out."""

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.actor import Actor
from apps.accounts.api import offers
from apps.accounts.api.serializers import MemberSerializer, RoleSerializer
from apps.accounts.errors import LastOwner, PersonalOrganization
from apps.accounts.given import fields_of, read_role
from apps.accounts.models import Membership
from apps.accounts.reading import member_of
from apps.accounts.services import change_role, remove_member
from apps.core.browsable import Offer
from apps.core.filters import refuse_unknown_parameters
from apps.core.pagination import CursorPagination
from apps.core.schema import refuses


class MemberPagination(CursorPagination):
    ordering = ("id", "public_id")


@extend_schema_view(get=extend_schema(operation_id="member_list", tags=["organization"]))
class MemberList(generics.ListAPIView[Membership]):
    """The members of your organization, who joined first before the others, in pages.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/members

    Somebody becomes one through an invitation: see /api/invitations.
    """

    name = "Members"
    limiters = ("api",)
    serializer_class = MemberSerializer
    pagination_class = MemberPagination
    queryset = Membership.objects.none()

    def get_queryset(self) -> QuerySet[Membership]:
        actor = Actor.of_request(self.request)
        actor.require("read", "members")
        return Membership.objects.in_organization(actor.organization).select_related("user")


class MemberDetail(APIView):
    """One member.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/members/$MEMBER

    Owners give and take any role, admins all but owner:

        curl -X PATCH -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
            -d '{"role": "contributor"}' $DOCMILL/api/members/$MEMBER

    Take somebody out, or end your own membership:

        curl -X DELETE -H "Authorization: Bearer $KEY" $DOCMILL/api/members/$MEMBER

    What they made passes to the owner who joined first. The only owner stays one: 409.
    """

    name = "Member"
    limiters = ("api",)

    def offers(self, request: Request) -> list[Offer]:
        member = member_of(Actor.of_request(request), self.kwargs["member_id"])
        return offers.of_member(request, member)

    @extend_schema(operation_id="member_read", tags=["organization"], responses=MemberSerializer)
    def get(self, request: Request, member_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        actor.require("read", "members")
        return _shown(request, member_of(actor, member_id))

    @extend_schema(
        operation_id="member_change",
        tags=["organization"],
        summary="Change a member's role",
        request=RoleSerializer,
        responses=MemberSerializer,
    )
    @refuses(LastOwner, PersonalOrganization)
    def patch(self, request: Request, member_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        membership = member_of(actor, member_id)
        actor.require("update", "members")
        role = read_role(fields_of(request.data, "role"))
        assert role is not None  # it is required
        return _shown(request, change_role(actor=actor, membership=membership, role=role))

    @extend_schema(
        operation_id="member_remove",
        tags=["organization"],
        summary="Take a member out",
        responses={204: None},
    )
    @refuses(LastOwner, PersonalOrganization)
    def delete(self, request: Request, member_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        remove_member(actor=actor, membership=member_of(actor, member_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _shown(request: Request, membership: Membership) -> Response:
    return Response(MemberSerializer(membership, context={"request": request}).data)
