"""Files: read, and fetch their text, their extraction, and the bytes as they came."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from uuid import UUID

from django.http import FileResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.actor import Actor
from apps.caching.cache import BYPASS
from apps.caching.http import HEADER, respond
from apps.core.browsable import Offer
from apps.core.errors import NotFound
from apps.core.filters import refuse_unknown_parameters
from apps.core.negotiation import OneMediaType
from apps.core.schema import CONDITIONAL, refuses
from apps.jobs import results, storage
from apps.jobs.api import offers
from apps.jobs.api.control import change_in
from apps.jobs.api.file_control import shown
from apps.jobs.api.linking import LINKED, linked
from apps.jobs.api.serializers import FileChangeSerializer, FileDetailSerializer
from apps.jobs.api.streaming import begun
from apps.jobs.errors import JobFinished, NoResult, StorageFull, StorageUnavailable
from apps.jobs.models import BatchFile, Blob, FileResult
from apps.jobs.reading import file_of
from apps.jobs.services import prioritize_job

UNTRUSTED = {
    # What a stranger uploaded must never run in our origin, whatever it claims to be.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}


def _result_of(file: BatchFile) -> FileResult:
    if not hasattr(file, "result"):
        reason = file.error_detail or "It has not been processed."
        raise NoResult(f"The file is {file.state}. {reason}")
    return file.result


@contextmanager
def _finding_bytes() -> Iterator[None]:
    """Tells bytes that were lost from the disk as NotFound."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound("The bytes of this file are not in storage any more.") from error


def _to_be_saved(request: Request, blob: Blob, *, name: str, media_type: str) -> HttpResponseBase:
    """The bytes, or where they are."""
    elsewhere = linked(
        request, blob, name=name, media_type=media_type, etag=f'"{blob.sha256}"', headers=UNTRUSTED
    )
    if elsewhere is not None:
        return elsewhere
    with _finding_bytes():
        content = storage.open_bytes(blob)
    return FileResponse(
        content, as_attachment=True, filename=name, content_type=media_type, headers=UNTRUSTED
    )


class FileDetail(APIView):
    """One file with its attempts, the latest first.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/files/$FILE

    Its addresses for text, extraction and bytes are null while there is nothing behind them. While
    it waits its priority (high, normal, low) can be changed:

        curl -X PATCH -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
            -d '{"priority": "high"}' $DOCMILL/api/batch/files/$FILE
    """

    name = "File"
    limiters = ("api",)

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_file(request, self.kwargs["file_id"])

    @extend_schema(operation_id="file_read", responses=FileDetailSerializer)
    def get(self, request: Request, file_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        return shown(request, file_of(Actor.of_request(request), file_id))

    @extend_schema(
        operation_id="file_change", request=FileChangeSerializer, responses=FileDetailSerializer
    )
    @refuses(JobFinished)
    def patch(self, request: Request, file_id: UUID) -> Response:
        """Change a file's priority."""
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        file = file_of(actor, file_id)
        actor.require("update", "jobs", created_by_id=file.job.created_by_id)
        change = change_in(request, frozenset({"priority"}))
        assert change.priority is not None  # the only field that there may be
        prioritize_job(actor=actor, job=file.job, priority=change.priority, only=[file])
        return shown(request, file_of(actor, file_id))


class FileText(APIView):
    """The text of a file.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/files/$FILE/text

    Plain, in UTF-8. What was read before a file failed is there as well. With If-None-Match and the
    ETag of an earlier answer it is 304 where the text is the same; very large ones have no ETag.
    """

    name = "Text of a file"
    limiters = ("api",)
    content_negotiation_class = OneMediaType

    @extend_schema(
        operation_id="file_text", responses={(200, "text/plain"): OpenApiTypes.STR, 304: None}
    )
    @refuses(NoResult, StorageFull, StorageUnavailable, *CONDITIONAL)
    def get(self, request: Request, file_id: UUID) -> HttpResponseBase:
        refuse_unknown_parameters(request)
        result = _result_of(file_of(Actor.of_request(request), file_id))
        media_type = "text/plain; charset=utf-8"
        with _finding_bytes():
            outcome = results.text(result)
            if outcome is not None:
                return respond(request, outcome, content_type=media_type, headers=UNTRUSTED)
            pieces = begun(results.text_in_pieces(result))
        headers = {**UNTRUSTED, HEADER: BYPASS}
        return StreamingHttpResponse(pieces, content_type=media_type, headers=headers)


class FileExtraction(APIView):
    """The whole extraction of a file as JSON.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/files/$FILE/result

    The text by page, metadata, and warnings. With If-None-Match and the ETag of an earlier answer
    it is 304 where they are the same; very large ones have no ETag.
    """

    name = "Extraction of a file"
    limiters = ("api",)
    content_negotiation_class = OneMediaType

    @extend_schema(operation_id="file_result", responses={200: OpenApiTypes.OBJECT, 304: None})
    @refuses(NoResult, StorageUnavailable, *CONDITIONAL)
    def get(self, request: Request, file_id: UUID) -> HttpResponseBase:
        refuse_unknown_parameters(request)
        result = _result_of(file_of(Actor.of_request(request), file_id))
        with _finding_bytes():
            outcome = results.stored(result)
            if outcome is not None:
                return respond(request, outcome, content_type="application/json", headers=UNTRUSTED)
            content = storage.open_bytes(result.content)
        headers = {**UNTRUSTED, HEADER: BYPASS}
        return FileResponse(content, content_type="application/json", headers=headers)


class FileContent(APIView):
    """The bytes of a file as they were submitted.

        curl -LOJ -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/files/$FILE/content

    Always to be saved, never to be opened in a browser: a stranger may have made them. 302 where
    they lie in a bucket, with a link that is good for minutes.
    """

    name = "Bytes of a file"
    limiters = ("api",)
    content_negotiation_class = OneMediaType

    @extend_schema(
        operation_id="file_content",
        responses={(200, "*/*"): OpenApiTypes.BINARY, **LINKED},
    )
    @refuses(StorageUnavailable, *CONDITIONAL)
    def get(self, request: Request, file_id: UUID) -> HttpResponseBase:
        refuse_unknown_parameters(request)
        file = file_of(Actor.of_request(request), file_id)
        if file.content is None:
            raise NotFound("The bytes of this file were not kept: it was rejected.")
        return _to_be_saved(
            request, file.content, name=file.name.rpartition("/")[2], media_type=file.content_type
        )


class FileSearchable(APIView):
    """A PDF of a file with the recognized text laid unseen over its pictures.

        curl -LOJ -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/files/$FILE/searchable

    There is one where SEARCHABLE_PDF is set and a page was read by OCR. Always to be saved.
    """

    name = "Searchable PDF of a file"
    limiters = ("api",)
    content_negotiation_class = OneMediaType

    @extend_schema(
        operation_id="file_searchable",
        responses={(200, "application/pdf"): OpenApiTypes.BINARY, **LINKED},
    )
    @refuses(NoResult, StorageUnavailable, *CONDITIONAL)
    def get(self, request: Request, file_id: UUID) -> HttpResponseBase:
        refuse_unknown_parameters(request)
        file = file_of(Actor.of_request(request), file_id)
        blob = _result_of(file).searchable
        if blob is None:
            raise NoResult("No searchable PDF was made of this file.")
        name = f"{PurePath(file.name).stem}.searchable.pdf"
        return _to_be_saved(request, blob, name=name, media_type="application/pdf")
