"""Uploads in parts, by the tus protocol: over a line that breaks, what was stored stays."""

from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils.http import http_date
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.accounts.actor import Actor
from apps.core.browsable import Offer
from apps.core.errors import FieldError, InvalidInput
from apps.core.filters import refuse_unknown_parameters
from apps.core.schema import refuses
from apps.jobs import resumable, storage, tus
from apps.jobs.api import offers
from apps.jobs.api.upload import LeavesTheBody
from apps.jobs.errors import (
    BatchesOff,
    LengthRequired,
    NoSuchVersion,
    StorageFull,
    TooManyUploads,
    UploadTooLarge,
    WrongOffset,
    require_batches,
)
from apps.jobs.models import UploadSession
from apps.jobs.reading import upload_of, uploads_of
from apps.jobs.services import begin_upload, remove_upload
from apps.jobs.services.uploading import wrong_offset
from apps.processors.errors import BadDocument
from apps.processors.kinds import check_name
from apps.ratelimits.requests import give_back

FREE_BYTES = 1024 * 1024
"""A part of so many bytes, and one that is a file's last, counts for no limit: what bounds parts is
how many uploads, and how many bytes of them, there may be."""
SIZE = OpenApiParameter("Upload-Length", int, OpenApiParameter.HEADER, required=True)
NAME = OpenApiParameter(
    "Upload-Metadata",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="The name in base64: filename bGV0dGVyLnBkZg==",
)
OFFSET = OpenApiParameter("Upload-Offset", int, OpenApiParameter.HEADER, required=True)


class UploadSessionSerializer(serializers.ModelSerializer[UploadSession]):
    offset_bytes = serializers.IntegerField(help_text="So much of it is stored.")
    url = serializers.SerializerMethodField()

    class Meta:
        model = UploadSession
        fields = ["id", "name", "size_bytes", "offset_bytes", "created_at", "expires_at", "url"]

    def get_url(self, upload: UploadSession) -> str:
        return reverse("upload", args=[upload.pk], request=self.context["request"])


class LeavesThePart(LeavesTheBody):
    """Reads nothing of a part: it goes to the disk as it comes."""

    media_type = tus.PART_TYPE


class TusView(APIView):
    """What answers of the protocol have in common."""

    limiters: ClassVar[tuple[str, ...]] = ("api",)
    parser_classes = [LeavesThePart]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        tus.check_version(request.headers)

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        if isinstance(exc, WrongOffset):
            response["Upload-Offset"] = str(exc.offset_bytes)
        return response

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Tus-Resumable"] = tus.VERSION
        if (
            request.method == "OPTIONS"
            or response.status_code == status.HTTP_412_PRECONDITION_FAILED
        ):
            response["Tus-Version"] = tus.VERSION
            response["Tus-Extension"] = tus.EXTENSIONS
            response["Tus-Max-Size"] = str(settings.BATCH_MAX_FILE_BYTES)
        return response


class UploadList(TusView, generics.ListAPIView[UploadSession]):
    """Your uploads in parts that are not submitted yet, the newest first.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/uploads

    For large files and lines that break: what was stored of one stays, and the rest follows. The
    protocol is tus 1.0, of which there are clients in many languages. Make one by its size and
    name:

        curl -i -X POST -H "Authorization: Bearer $KEY" -H "Upload-Length: 1048576" \\
            -H "Upload-Metadata: filename $(printf scan.pdf | base64)" $DOCMILL/api/batch/uploads

    Send its bytes to its Location, and the ids of one or more, with commas, in a submission as
    upload_ids, beside files or in their place. One that stands still for a day is removed.
    """

    name = "Uploads in parts"
    serializer_class = UploadSessionSerializer
    queryset = UploadSession.objects.none()
    filterset_class = None

    def get_queryset(self) -> QuerySet[UploadSession]:
        actor = Actor.of_request(self.request)
        actor.require("create", "jobs")
        return uploads_of(actor)

    @extend_schema(
        operation_id="upload_create",
        summary="Begin an upload in parts",
        parameters=[SIZE, NAME],
        request={tus.PART_TYPE: OpenApiTypes.BINARY},
        responses={201: UploadSessionSerializer},
    )
    @refuses(BatchesOff, NoSuchVersion, LengthRequired, UploadTooLarge, TooManyUploads, StorageFull)
    def post(self, request: Request) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        actor.require("create", "jobs")
        size_bytes, name = _size(request), _name(request)
        length = _length(request, size_bytes) if _has_part(request) else 0
        with storage.refusing_when_full():
            upload = begin_upload(actor=actor, name=name, size_bytes=size_bytes)
            if length:
                upload = resumable.append(
                    upload, offset_bytes=0, body=request._request, length=length
                )
        shown = UploadSessionSerializer(upload, context={"request": request}).data
        headers = _headers(upload) | {"Location": shown["url"]}
        return Response(shown, status=status.HTTP_201_CREATED, headers=headers)


class UploadDetail(TusView):
    """One upload in parts: how much of it is stored.

        curl -i -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/uploads/$UPLOAD

    The Upload-Offset of the answer is where to go on, after a broken line too. The next part, which
    begins there:

        curl -X PATCH -H "Authorization: Bearer $KEY" -H "Upload-Offset: 0" \\
            -H "Content-Type: application/offset+octet-stream" \\
            --data-binary @scan.pdf $DOCMILL/api/batch/uploads/$UPLOAD

    A part may be of any length, and what came of one that was cut off stays. From another place
    than where it goes on it is refused, and the answer says where that is. Give it up:

        curl -X DELETE -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/uploads/$UPLOAD
    """

    name = "Upload in parts"

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_upload(request, self.kwargs["upload_id"])

    @extend_schema(operation_id="upload_read", responses=UploadSessionSerializer)
    @refuses(NoSuchVersion)
    def get(self, request: Request, upload_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        upload = upload_of(Actor.of_request(request), upload_id)
        shown = UploadSessionSerializer(upload, context={"request": request}).data
        headers = _headers(upload) | {"Cache-Control": "no-store"}
        return Response(shown, headers=headers)

    @extend_schema(
        operation_id="upload_append",
        summary="Add a part to an upload",
        parameters=[OFFSET],
        request={tus.PART_TYPE: OpenApiTypes.BINARY},
        responses={204: None},
    )
    @refuses(BatchesOff, NoSuchVersion, LengthRequired, UploadTooLarge, WrongOffset, StorageFull)
    def patch(self, request: Request, upload_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        upload = upload_of(Actor.of_request(request), upload_id)
        require_batches()
        if not _has_part(request):
            raise UnsupportedMediaType(request.content_type or "not given")
        offset_bytes = tus.whole_number(request.headers, "Upload-Offset")
        if offset_bytes != upload.offset_bytes:
            raise wrong_offset(upload)
        length = _length(request, upload.size_bytes - offset_bytes)
        storage.check_room(length)
        with storage.refusing_when_full():
            upload = resumable.append(
                upload, offset_bytes=offset_bytes, body=request._request, length=length
            )
        if length >= FREE_BYTES or (length and upload.is_finished):
            give_back(request, *self.limiters)
        return Response(status=status.HTTP_204_NO_CONTENT, headers=_headers(upload))

    @extend_schema(operation_id="upload_delete", summary="Remove an upload", responses={204: None})
    @refuses(NoSuchVersion)
    def delete(self, request: Request, upload_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        remove_upload(upload_of(Actor.of_request(request), upload_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _headers(upload: UploadSession) -> dict[str, str]:
    return {
        "Upload-Offset": str(upload.offset_bytes),
        "Upload-Length": str(upload.size_bytes),
        "Upload-Expires": http_date(upload.expires_at.timestamp()),
    }


def _has_part(request: Request) -> bool:
    return str(request._request.content_type) == tus.PART_TYPE


def _size(request: Request) -> int:
    """Of the whole file. Raises InvalidInput or UploadTooLarge."""
    size_bytes = tus.whole_number(request.headers, "Upload-Length")
    if size_bytes > settings.BATCH_MAX_FILE_BYTES:
        raise UploadTooLarge(f"A file may have {settings.BATCH_MAX_FILE_BYTES} bytes.")
    return size_bytes


def _name(request: Request) -> str:
    """Raises InvalidInput."""
    name = tus.file_name(request.headers)
    try:
        check_name(name)
    except BadDocument as problem:
        error = FieldError("Upload-Metadata", problem.code, problem.detail)
        raise InvalidInput(problem.detail, errors=[error]) from problem
    return name


def _length(request: Request, left: int) -> int:
    """Of the part. Raises LengthRequired, and UploadTooLarge for more than the `left` bytes."""
    length = request.META.get("CONTENT_LENGTH") or ""
    if not (length.isascii() and length.isdecimal()):
        raise LengthRequired("Send a Content-Length; chunked parts are not taken.")
    if int(length) > left:
        raise UploadTooLarge(f"There are {left} bytes left. Nothing of this part was stored.")
    return int(length)
