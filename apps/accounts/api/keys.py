"""API keys: list, make, read, revoke."""

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.actor import Actor
from apps.accounts.api import offers
from apps.accounts.api.serializers import KeySerializer, MadeKeySerializer, NewKeySerializer
from apps.accounts.errors import TooMany
from apps.accounts.given import fields_of, read_moment, read_role, read_text
from apps.accounts.models import ApiKey
from apps.accounts.reading import key_of, keys_seen_by
from apps.accounts.services import make_key, revoke_key
from apps.core.browsable import Offer
from apps.core.filters import refuse_unknown_parameters
from apps.core.schema import refuses


@extend_schema_view(get=extend_schema(operation_id="key_list", tags=["keys"]))
class KeyList(generics.ListAPIView[ApiKey]):
    """Your API keys, the newest first, in pages; owners and admins see everybody's.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/keys

    A key is made by somebody who is signed in, on the page Settings, API keys or here: an API key
    makes no other one. It may no more than its person, whatever they become later. Its token is in
    the answer to the POST and nowhere else.
    """

    name = "API keys"
    limiters = ("api",)
    serializer_class = KeySerializer
    queryset = ApiKey.objects.none()

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_keys(request)

    def get_queryset(self) -> QuerySet[ApiKey]:
        actor = Actor.of_request(self.request)
        return keys_seen_by(actor).select_related("user")

    @extend_schema(
        operation_id="key_make",
        tags=["keys"],
        summary="Make an API key",
        request=NewKeySerializer,
        responses={201: MadeKeySerializer},
    )
    @refuses(TooMany)
    def post(self, request: Request) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        actor.require("create", "keys")
        actor.require_person()
        fields = fields_of(request.data, "name", "role", "expires_at")
        key, token = make_key(
            actor=actor,
            name=read_text(fields, "name"),
            role=read_role(fields, optional=True),
            expires_at=read_moment(fields, "expires_at"),
        )
        told = MadeKeySerializer(key, context={"request": request, "token": token}).data
        return Response(told, status.HTTP_201_CREATED, headers={"Location": told["url"]})


class KeyDetail(APIView):
    """One API key.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/keys/$API_KEY

    Revoke it, to have it refused from the next request on; it stays in the list. Everybody may
    revoke their own, owners and admins any:

        curl -X DELETE -H "Authorization: Bearer $KEY" $DOCMILL/api/keys/$API_KEY
    """

    name = "API key"
    limiters = ("api",)

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_key(request, key_of(Actor.of_request(request), self.kwargs["api_key_id"]))

    @extend_schema(operation_id="key_read", tags=["keys"], responses=KeySerializer)
    def get(self, request: Request, api_key_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        key = key_of(Actor.of_request(request), api_key_id)
        return Response(KeySerializer(key, context={"request": request}).data)

    @extend_schema(
        operation_id="key_revoke",
        tags=["keys"],
        summary="Revoke an API key",
        responses={204: None},
    )
    def delete(self, request: Request, api_key_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        revoke_key(actor=actor, key=key_of(actor, api_key_id))
        return Response(status=status.HTTP_204_NO_CONTENT)
