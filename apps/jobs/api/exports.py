"""Exports: downloads that are built in the background, of one job or several."""

from uuid import UUID

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.actor import Actor
from apps.core.browsable import Offer
from apps.core.errors import NotFound
from apps.core.filters import refuse_unknown_parameters
from apps.core.negotiation import OneMediaType
from apps.core.schema import IN_PARTS, refuses
from apps.jobs.api import offers
from apps.jobs.api.export_serializers import ExportOrderSerializer, ExportSerializer
from apps.jobs.api.linking import LINKED
from apps.jobs.api.results import send_built
from apps.jobs.changes import read_export
from apps.jobs.errors import ExportExpired, ExportNotReady, StorageUnavailable, TooManyExports
from apps.jobs.models import Export
from apps.jobs.reading import export_of, jobs_of
from apps.jobs.services.exporting import delete_export, request_export


class ExportList(generics.ListAPIView[Export]):
    """The downloads that were built for your organization, the newest first, in pages.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/exports

    Have one built of up to 50 jobs, as zip, xlsx, csv, md or ndjson:

        curl -X POST -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
            -d '{"format": "zip", "jobs": ["$JOB"]}' $DOCMILL/api/batch/exports

    It answers 202 while it is built and 200 when it is there. Asked for twice it is built once. Its
    content_url is there when its state is ready, until expires_at.
    """

    name = "Exports"
    limiters = ("api",)
    serializer_class = ExportSerializer
    queryset = Export.objects.none()

    def get_queryset(self) -> QuerySet[Export]:
        actor = Actor.of_request(self.request)
        actor.require("read", "exports")
        exports: QuerySet[Export] = Export.objects.in_organization(actor.organization)
        return exports.select_related("item", "content").prefetch_related("jobs")

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_exporting(request)

    @extend_schema(
        operation_id="export_request",
        summary="Have an export built",
        request=ExportOrderSerializer,
        responses={200: ExportSerializer, 202: ExportSerializer},
    )
    @refuses(TooManyExports)
    def post(self, request: Request) -> Response:
        """Have an export built."""
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        actor.require("create", "exports")
        made, ids = read_export(request.data)
        export = request_export(actor=actor, jobs=jobs_of(actor, ids), made=made)
        answer = ExportSerializer(export, context={"request": request}).data
        is_built = export.content_id is not None
        code = status.HTTP_200_OK if is_built else status.HTTP_202_ACCEPTED
        return Response(answer, status=code, headers={"Location": answer["url"]})


class ExportDetail(APIView):
    """One export: how far it is, or where its bytes are.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/exports/$EXPORT

    Delete it before its time, and stop its being built:

        curl -X DELETE -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/exports/$EXPORT
    """

    name = "Export"
    limiters = ("api",)
    below = (("export-content", "Its bytes, once it is ready."),)

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_export(request, self.kwargs["export_id"])

    @extend_schema(operation_id="export_read", responses=ExportSerializer)
    def get(self, request: Request, export_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        export = export_of(Actor.of_request(request), export_id)
        return Response(ExportSerializer(export, context={"request": request}).data)

    @extend_schema(operation_id="export_delete", summary="Delete an export", responses={204: None})
    def delete(self, request: Request, export_id: UUID) -> Response:
        """Delete an export."""
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        delete_export(actor=actor, export=export_of(actor, export_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class ExportContent(APIView):
    """The bytes of an export.

        curl -LOJ -C - -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/exports/$EXPORT/content

    With a Range header only a part, so that a download that broke off can go on. ETag is the
    SHA-256 of the whole. 410 once it has expired, 409 until it is ready.
    """

    name = "Bytes of an export"
    limiters = ("api",)
    content_negotiation_class = OneMediaType

    @extend_schema(
        operation_id="export_content",
        responses={
            (200, "*/*"): OpenApiTypes.BINARY,
            (206, "*/*"): OpenApiTypes.BINARY,
            **LINKED,
        },
    )
    @refuses(ExportExpired, ExportNotReady, StorageUnavailable, *IN_PARTS)
    def get(self, request: Request, export_id: UUID) -> HttpResponseBase:
        refuse_unknown_parameters(request)
        export = export_of(Actor.of_request(request), export_id)
        if export.is_expired(timezone.now()):
            raise ExportExpired(
                f"It could be fetched until {export.expires_at:%Y-%m-%d %H:%M} UTC."
            )
        if export.content is None:
            raise ExportNotReady(f"The export is {export.state}.")
        try:
            return send_built(request, export)
        except FileNotFoundError as error:
            raise NotFound("The bytes of this export are not in storage any more.") from error
