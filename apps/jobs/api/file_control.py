"""What is done to one file of a job; the others stay as they are."""

from collections.abc import Callable
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.actor import Actor
from apps.core.browsable import Offer
from apps.core.filters import refuse_unknown_parameters
from apps.core.schema import refuses
from apps.jobs.api import offers
from apps.jobs.api.serializers import FileDetailSerializer, ReasonSerializer
from apps.jobs.changes import read_reason
from apps.jobs.errors import BatchesOff, FileRunning, JobFinished, JobUnfinished, NothingToRetry
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.reading import file_of
from apps.jobs.services import cancel_job, pause_job, requeue_job, resume_job, retry_job


def shown(request: Request, file: BatchFile) -> Response:
    return Response(FileDetailSerializer(file, context={"request": request}).data)


def _done(request: Request, file_id: UUID, verb: Callable[..., BatchJob]) -> Response:
    """The file, once `verb` was done to it alone."""
    refuse_unknown_parameters(request)
    actor = Actor.of_request(request)
    file = file_of(actor, file_id)
    verb(actor=actor, job=file.job, only=[file])
    return shown(request, file_of(actor, file_id))


class FileCancel(APIView):
    """Stop one file.

        curl -X POST -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/files/$FILE/cancel

    One that waits is stopped at once, one that runs within seconds.
    """

    name = "Cancel a file"
    limiters = ("api",)

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_doing_to_file(request, self.kwargs["file_id"], offers.cancel_file)

    @extend_schema(operation_id="file_cancel", request=None, responses=FileDetailSerializer)
    @refuses(JobFinished)
    def post(self, request: Request, file_id: UUID) -> Response:
        return _done(request, file_id, cancel_job)


class FilePause(APIView):
    """Hold one file back until it, or its job, is resumed.

        curl -X POST -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
            -d '{"reason": "Wrong scan"}' $DOCMILL/api/batch/files/$FILE/pause

    One that runs goes on to its end and cannot be paused, only cancelled. The reason may be left
    out; it is shown with who paused.
    """

    name = "Pause a file"
    limiters = ("api",)

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_doing_to_file(
            request, self.kwargs["file_id"], offers.pause_file_with_reason
        )

    @extend_schema(
        operation_id="file_pause", request=ReasonSerializer, responses=FileDetailSerializer
    )
    @refuses(JobFinished, FileRunning)
    def post(self, request: Request, file_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        file = file_of(actor, file_id)
        actor.require("update", "jobs", created_by_id=file.job.created_by_id)
        pause_job(actor=actor, job=file.job, reason=read_reason(request.data), only=[file])
        return shown(request, file_of(actor, file_id))


class FileResume(APIView):
    """Let one file go on that is held back.

        curl -X POST -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/files/$FILE/resume

    Of a paused job, this file alone goes on.
    """

    name = "Resume a file"
    limiters = ("api",)

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_doing_to_file(request, self.kwargs["file_id"], offers.resume_file)

    @extend_schema(operation_id="file_resume", request=None, responses=FileDetailSerializer)
    @refuses(JobFinished)
    def post(self, request: Request, file_id: UUID) -> Response:
        return _done(request, file_id, resume_job)


class FileRetry(APIView):
    """Run one file again that failed or was cancelled.

        curl -X POST -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/files/$FILE/retry

    Its job must be finished. A quarantined file is run again for an owner or admin only.
    """

    name = "Retry a file"
    limiters = ("api",)

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_doing_to_file(request, self.kwargs["file_id"], offers.retry_file)

    @extend_schema(operation_id="file_retry", request=None, responses=FileDetailSerializer)
    @refuses(BatchesOff, JobUnfinished, NothingToRetry)
    def post(self, request: Request, file_id: UUID) -> Response:
        return _done(request, file_id, retry_job)


class FileRequeue(APIView):
    """Read one file of a finished job again, also when it succeeded.

        curl -X POST -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/files/$FILE/requeue

    What was read stays until it is read anew. A quarantined file is run again for an owner or
    admin only.
    """

    name = "Requeue a file"
    limiters = ("api",)

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_doing_to_file(request, self.kwargs["file_id"], offers.requeue_file)

    @extend_schema(operation_id="file_requeue", request=None, responses=FileDetailSerializer)
    @refuses(BatchesOff, JobUnfinished, NothingToRetry)
    def post(self, request: Request, file_id: UUID) -> Response:
        return _done(request, file_id, requeue_job)
