"""POST /api/batch/upload: files in, a job out."""

import hashlib
import json
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
from apps.core.errors import FieldError, InvalidInput
from apps.core.filters import refuse_unknown_parameters
from apps.jobs import storage
from apps.jobs.api.serializers import PRIORITIES, AcceptedSerializer, UploadSerializer
from apps.jobs.models import BatchJob
from apps.jobs.operations import check_operation, parse_options
from apps.jobs.services import Replayable, Submission, submit_job, submit_once
from apps.jobs.upload import Form, Received, check_length, receive
from apps.queue.models import Priority

FIELDS = frozenset({"operation", "priority", "name", "options"})
ROUTE = "batch.upload"
MAX_KEY = 255
MAX_JOB_NAME = 200


class LeavesTheBody(BaseParser):
    """Reads nothing of a form: its body belongs to `receive`.

    Otherwise the CSRF check of a session, which looks for a token in the form before it looks at
    the X-CSRFToken header, would read the whole body into temporary files.
    """

    media_type = "multipart/form-data"

    def parse(self, stream: Any, *args: Any, **kwargs: Any) -> "DataAndFiles[Any, Any]":
        return DataAndFiles(QueryDict(), MultiValueDict())


class BatchUpload(APIView):
    """Submit up to 50 files as one job.

    curl -H "Authorization: Bearer dm_..." -F file=@a.pdf -F file=@b.docx .../api/batch/upload
    """

    parser_classes = [LeavesTheBody]

    @extend_schema(
        operation_id="batch_upload",
        request={"multipart/form-data": UploadSerializer},
        responses={202: AcceptedSerializer},
        parameters=[
            OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, required=False)
        ],
    )
    def post(self, request: Request) -> Response:
        actor = Actor.of_request(request)
        actor.require("create", "jobs")
        refuse_unknown_parameters(request)
        key = _idempotency_key(request)
        check_length(request._request)
        with storage.refusing_when_full(), storage.incoming() as directory:
            form = receive(request._request, directory)
            submission = read_submission(form.fields)
            answer, replayed = self._submit(request, actor, submission, form, key)
        headers = {"Location": answer["url"]}
        if replayed:
            headers["Idempotency-Replayed"] = "true"
        return Response(answer, status=status.HTTP_202_ACCEPTED, headers=headers)

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


def read_submission(fields: dict[str, str]) -> Submission:
    """The submission in a form's plain fields. Raises InvalidInput or OperationUnavailable."""
    if unknown := sorted(set(fields) - FIELDS):
        errors = [FieldError(name, "unknown", "There is no such field.") for name in unknown]
        raise InvalidInput(f"Unknown fields: {', '.join(unknown)}.", errors=errors)
    return Submission(
        operation=check_operation(fields.get("operation", "extract")),
        options=parse_options(_decoded(fields.get("options", "{}"))),
        priority=_priority(fields.get("priority", "normal")),
        name=_job_name(fields.get("name", "")),
    )


def _decoded(options: str) -> object:
    try:
        decoded: object = json.loads(options)
    except (ValueError, RecursionError) as error:
        detail = "options must be a JSON object."
        raise InvalidInput(detail, errors=[FieldError("options", "invalid", detail)]) from error
    return decoded


def _priority(given: str) -> Priority:
    if given not in PRIORITIES:
        detail = f"priority must be one of {', '.join(PRIORITIES)}."
        raise InvalidInput(detail, errors=[FieldError("priority", "unknown", detail)])
    return Priority(PRIORITIES[given])


def _job_name(given: str) -> str:
    name = "".join(c for c in given if c.isprintable()).strip()
    if len(name) > MAX_JOB_NAME:
        detail = f"name takes at most {MAX_JOB_NAME} characters."
        raise InvalidInput(detail, errors=[FieldError("name", "too_long", detail)])
    return name


def _idempotency_key(request: Request) -> str:
    key = str(request.headers.get("Idempotency-Key", ""))
    if "Idempotency-Key" in request.headers and not (0 < len(key) <= MAX_KEY and key.isprintable()):
        detail = f"Idempotency-Key takes 1 to {MAX_KEY} printable characters."
        raise InvalidInput(detail, errors=[FieldError("Idempotency-Key", "invalid", detail)])
    return key


def fingerprint(submission: Submission, files: list[Received]) -> str:
    """A SHA-256 over everything that makes two submissions the same request."""
    parts = [
        submission.operation,
        submission.options.to_json(),
        submission.priority,
        submission.name,
        [[each.name, each.size_bytes, each.sha256] for each in files],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
