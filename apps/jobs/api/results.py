"""All results of a job as one download, in each of the formats."""

from datetime import datetime
from uuid import UUID

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.accounts.actor import Actor
from apps.caching.http import conditional
from apps.core.filters import refuse_unknown_parameters
from apps.core.negotiation import OneMediaType
from apps.core.ranges import serve
from apps.core.schema import IN_PARTS, refuses
from apps.jobs import storage
from apps.jobs.api.files import UNTRUSTED
from apps.jobs.api.linking import LINKED, linked
from apps.jobs.api.streaming import begun
from apps.jobs.contents import Contents
from apps.jobs.errors import StorageFull, StorageUnavailable, TooLargeToWait
from apps.jobs.formats import FORMATS, Format
from apps.jobs.models import Export
from apps.jobs.reading import job_of
from apps.jobs.services.exporting import built_export

DESCRIPTION = """{about}

    curl -LOJ -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/jobs/$JOB/results.{name}

{more}Files that failed or are unfinished are listed too. X-Results-Complete is false while the job
still runs, X-Expires-At the time until which it can be fetched. With If-None-Match and the ETag of
an earlier answer it is 304 where nothing has changed.
"""
BUILT = """Where the results are large it is 409: have it built at /api/batch/exports.

"""


class JobResults(APIView):
    """One format's: see `view_of`."""

    limiters = ("api",)
    content_negotiation_class = OneMediaType
    made: Format

    def answer(self, request: Request, job_id: UUID) -> HttpResponseBase:
        refuse_unknown_parameters(request)
        job = job_of(Actor.of_request(request), job_id)
        return download(request, Contents.of([job]), self.made)


def view_of(made: Format) -> type[JobResults]:
    """The view of a job's results in that format."""
    binary = OpenApiTypes.STR if made.media_type.startswith("text/") else OpenApiTypes.BINARY
    media_type = made.media_type.partition(";")[0]

    @extend_schema(
        operation_id=f"job_results_{made.name}",
        # 206 where it was built before and a part is asked for.
        responses={(200, media_type): binary, (206, media_type): binary, **LINKED},
    )
    @refuses(
        *(() if made.is_streamed else (TooLargeToWait,)), *IN_PARTS, StorageFull, StorageUnavailable
    )
    def get(self: JobResults, request: Request, job_id: UUID) -> HttpResponseBase:
        return self.answer(request, job_id)

    more = "" if made.is_streamed else BUILT
    told = {
        "__doc__": DESCRIPTION.format(about=made.about, name=made.name, more=more),
        "name": f"Results as {made.label}",
        "made": made,
        "get": get,
    }
    return type(f"JobResults{made.name.title()}", (JobResults,), told)


def download(request: Request, contents: Contents, made: Format) -> HttpResponseBase:
    """The contents: from the export that has just these, where one is built, or else written
    while they are sent. Raises TooLargeToWait and StorageFull."""
    built = built_export(contents, made)
    if built is not None:
        return send_built(request, built)
    # Weak: the bytes were never all there to be compared.
    etag = f'W/"{contents.fingerprint(made.name)}"'
    name = contents.download_name(made.name)
    headers = headers_of(name, contents.is_complete, contents.expires_at) | {"ETag": etag}
    known = conditional(request, HttpResponse(headers=headers), etag)
    if known.status_code != 200:
        return known
    if contents.is_large and not made.is_streamed:
        raise TooLargeToWait(
            f"{made.label} of these results takes too long to wait for. Have it built: POST "
            "/api/batch/exports, or choose another format."
        )
    stream = made.write(contents)
    chunks = stream if made.is_streamed else begun(stream)
    return StreamingHttpResponse(chunks, content_type=made.media_type, headers=headers)


def send_built(request: Request, export: Export) -> HttpResponseBase:
    """The bytes of the export, or a part of them. Raises FileNotFoundError."""
    assert export.content is not None
    media_type = FORMATS[export.format].media_type
    etag = f'"{export.content.sha256}"'
    headers = headers_of(export.name, export.is_complete, export.expires_at)
    elsewhere = linked(
        request, export.content, name=export.name, media_type=media_type, etag=etag, headers=headers
    )
    if elsewhere is not None:
        return elsewhere
    return serve(
        request._request,
        storage.open_bytes(export.content),
        size=export.content.size_bytes,
        etag=etag,
        content_type=media_type,
        headers=headers,
    )


def headers_of(name: str, is_complete: bool, expires_at: datetime | None) -> dict[str, str]:
    """Those that every download has, wherever its bytes come from."""
    headers = {
        "Content-Disposition": str(content_disposition_header(as_attachment=True, filename=name)),
        **UNTRUSTED,
        "X-Results-Complete": "true" if is_complete else "false",
    }
    if expires_at is not None:
        headers["X-Expires-At"] = expires_at.isoformat()
    return headers
