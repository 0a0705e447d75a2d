"""The organization that the caller works in."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.actor import Actor
from apps.accounts.api import offers
from apps.accounts.api.serializers import NameSerializer, OrganizationSerializer
from apps.accounts.errors import PersonalOrganization, StillBusy
from apps.accounts.given import fields_of, read_text
from apps.accounts.services import close_organization, rename_organization
from apps.core.browsable import Offer
from apps.core.filters import refuse_unknown_parameters
from apps.core.schema import refuses


class OrganizationDetail(APIView):
    """Your organization, and your role in it.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/organization

    Owners and admins rename it:

        curl -X PATCH -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
            -d '{"name": "Harbour Office"}' $DOCMILL/api/organization

    An owner who is signed in deletes it, with all that is in it, by sending its name with DELETE;
    an API key may not. While jobs are not finished the answer is 409.
    """

    name = "Organization"
    limiters = ("api",)
    below = (
        ("member-list", "Who is in it, and with which role."),
        ("invitation-list", "Who was invited and has not accepted yet."),
        ("key-list", "The keys with which programs work in it."),
    )

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_organization(request)

    @extend_schema(
        operation_id="organization_read", tags=["organization"], responses=OrganizationSerializer
    )
    def get(self, request: Request) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        actor.require("read", "organization")
        return _shown(actor)

    @extend_schema(
        operation_id="organization_rename",
        tags=["organization"],
        summary="Rename your organization",
        request=NameSerializer,
        responses=OrganizationSerializer,
    )
    def patch(self, request: Request) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        actor.require("update", "organization")
        name = read_text(fields_of(request.data, "name"), "name")
        actor.organization.name = rename_organization(actor=actor, name=name).name
        return _shown(actor)

    @extend_schema(
        operation_id="organization_delete",
        tags=["organization"],
        summary="Delete your organization",
        request=NameSerializer,
        responses={204: None},
    )
    @refuses(PersonalOrganization, StillBusy)
    def delete(self, request: Request) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        actor.require("delete", "organization")
        actor.require_person()
        name = read_text(fields_of(request.data, "name"), "name")
        close_organization(actor=actor, name=name)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _shown(actor: Actor) -> Response:
    context = {"role": actor.role}
    return Response(OrganizationSerializer(actor.organization, context=context).data)
