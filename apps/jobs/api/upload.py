"""POST /api/batch/upload: files in, a job out."""

import json
from pathlib import Path
from typing import Any

from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.parsers import BaseParser, DataAndFiles
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.actor import Actor
from apps.core.browsable import Offer
from apps.core.filters import refuse_unknown_parameters
from apps.core.schema import refuses
from apps.jobs import storage
from apps.jobs.api import offers
from apps.jobs.api.serializers import AcceptedSerializer, UploadSerializer
from apps.jobs.counting import WITHIN, counting
from apps.jobs.errors import (
    AllRejected,
    BatchesOff,
    BatchTooLarge,
    IdempotencyInProgress,
    IdempotencyMismatch,
    LengthRequired,
    NoFiles,
    OperationUnavailable,
    StorageFull,
    StorageUnavailable,
    TooManyFiles,
    UploadGone,
    UploadUnfinished,
    require_batches,
)
from apps.jobs.inflight import alone_with
from apps.jobs.models import BatchJob
from apps.jobs.resumable import receive_uploads
from apps.jobs.services import Replayable, Submission, is_known, submit_job, submit_once
from apps.jobs.submission import (
    UPLOADS,
    check_key,
    fingerprint,
    read_submission,
    read_upload_ids,
)
from apps.jobs.upload import Form, Received, check_length, receive

ROUTE = "batch.upload"


class LeavesTheBody(BaseParser):
    """Reads nothing of a form: its body belongs to `receive`.

    Otherwise the CSRF check of a session, which looks for a token in the form before it looks at
    the X-CSRFToken header, would read the whole body into temporary files.
    """

    media_type = "multipart/form-data"

    def parse(self, stream: Any, *args: Any, **kwargs: Any) -> "DataAndFiles[Any, Any]":
        return DataAndFiles(QueryDict(), MultiValueDict())


class BatchUpload(APIView):
    """Submit files as one job, which is then worked on in the background.

        curl -H "Authorization: Bearer $KEY" -F file=@a.pdf -F file=@b.pdf $DOCMILL/api/batch/upload

    The answer comes at once and tells where to follow the job. A file that cannot be taken does
    not stop the others; it is listed under rejected with its reason. Send a header
    Idempotency-Key of your own to be safe to send again: the same request makes one job. Large
    files, and lines that break: see the uploads in parts.
    """

    name = "Upload files"
    limiters = ("api",)
    counted_within = WITHIN
    parser_classes = [LeavesTheBody]

    @extend_schema(
        operation_id="batch_upload",
        request={"multipart/form-data": UploadSerializer},
        responses={202: AcceptedSerializer},
        parameters=[
            OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, required=False)
        ],
    )
    @refuses(
        BatchesOff,
        NoFiles,
        LengthRequired,
        TooManyFiles,
        BatchTooLarge,
        AllRejected,
        OperationUnavailable,
        IdempotencyMismatch,
        IdempotencyInProgress,
        UploadUnfinished,
        UploadGone,
        StorageFull,
        StorageUnavailable,
    )
    def post(self, request: Request) -> Response:
        actor = Actor.of_request(request)
        actor.require("create", "jobs")
        require_batches()
        refuse_unknown_parameters(request)
        key = _idempotency_key(request)
        check_length(request._request)
        with (
            storage.refusing_when_full(),
            alone_with(key, actor=actor, route=ROUTE),
            storage.incoming() as directory,
            counting(request) as counts,
        ):
            counts.begin(actor=actor, route=ROUTE, key=key)
            form = receive(request._request, directory)
            _take_uploads(actor, form, key, directory)
            submission = read_submission(form.fields)
            counts.ask_for(submission.operation)
            answer, replayed = self._submit(request, actor, submission, form, key)
            counts.is_accepted = not replayed
        headers = {"Location": answer["url"]}
        if replayed:
            headers["Idempotency-Replayed"] = "true"
        return Response(answer, status=status.HTTP_202_ACCEPTED, headers=headers)

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_uploading(request)

    def _submit(
        self, request: Request, actor: Actor, submission: Submission, form: Form, key: str
    ) -> tuple[dict[str, Any], bool]:
        def answer(job: BatchJob) -> dict[str, Any]:
            shown = AcceptedSerializer(job, context={"request": request}).data
            plain: dict[str, Any] = json.loads(json.dumps(shown, default=str))
            return plain

        if not key:
            return answer(submit_job(actor=actor, submission=submission, files=form.files)), False
        replayable = Replayable(ROUTE, key, fingerprint(submission, form.files), answer)
        return submit_once(
            actor=actor, submission=submission, files=form.files, replayable=replayable
        )


def _idempotency_key(request: Request) -> str:
    """That of the header; empty when there is none. Raises InvalidInput."""
    key = request.headers.get("Idempotency-Key")
    return "" if key is None else check_key(str(key))


def _take_uploads(actor: Actor, form: Form, key: str, directory: Path) -> None:
    """Adds what came in parts before. Raises InvalidInput, UploadUnfinished, TooManyFiles, and
    UploadGone unless the request under that key was answered: it is its job that has them."""
    ids = read_upload_ids(form.fields.pop(UPLOADS, ""))
    try:
        receive_uploads(actor, form, ids, directory)
    except UploadGone:
        if not is_known(actor=actor, route=ROUTE, key=key):
            raise
        form.files += [Received(name="", upload_id=each) for each in ids]
