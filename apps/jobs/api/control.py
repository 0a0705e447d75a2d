"""What is done to a job: stopped, held back, run again, and what its failure means settled."""

from uuid import UUID

from django.http import QueryDict
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.actor import Actor
from apps.core.browsable import Offer
from apps.core.filters import refuse_unknown_parameters
from apps.core.schema import refuses
from apps.jobs.api import offers
from apps.jobs.api.serializers import JobSerializer, ReasonSerializer
from apps.jobs.changes import Change, read_change, read_reason
from apps.jobs.errors import (
    BatchesOff,
    JobFinished,
    JobUnfinished,
    NothingToDiscard,
    NothingToRetry,
)
from apps.jobs.models import BatchJob
from apps.jobs.reading import job_of
from apps.jobs.services import (
    cancel_job,
    discard_job,
    pause_job,
    requeue_job,
    resume_job,
    retry_job,
)


def shown(request: Request, job: BatchJob) -> Response:
    return Response(JobSerializer(job, context={"request": request}).data)


def change_in(request: Request, known: frozenset[str]) -> Change:
    """What the request's body asks to set. Raises InvalidInput."""
    fields = request.data
    return read_change(fields, known=known, is_form=isinstance(fields, QueryDict))


class JobCancel(APIView):
    """Stop a job.

        curl -X POST -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/jobs/$JOB/cancel

    Files that wait are stopped at once, running ones within seconds. Results so far stay.
    """

    name = "Cancel a job"
    limiters = ("api",)

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_doing(request, self.kwargs["job_id"], offers.cancel)

    @extend_schema(operation_id="job_cancel", request=None, responses=JobSerializer)
    @refuses(JobFinished)
    def post(self, request: Request, job_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        return shown(request, cancel_job(actor=actor, job=job_of(actor, job_id)))


class JobPause(APIView):
    """Start nothing more of a job until it is resumed.

        curl -X POST -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
            -d '{"reason": "Wrong scans"}' $DOCMILL/api/batch/jobs/$JOB/pause

    Files that run go on to their end. The reason may be left out; it is shown with who paused.
    Done again, only the reason and who paused are new.
    """

    name = "Pause a job"
    limiters = ("api",)

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_doing(request, self.kwargs["job_id"], offers.pause_with_reason)

    @extend_schema(operation_id="job_pause", request=ReasonSerializer, responses=JobSerializer)
    @refuses(JobFinished)
    def post(self, request: Request, job_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        job = job_of(actor, job_id)
        actor.require("update", "jobs", created_by_id=job.created_by_id)
        reason = read_reason(request.data)
        return shown(request, pause_job(actor=actor, job=job, reason=reason))


class JobResume(APIView):
    """Go on with a paused job.

        curl -X POST -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/jobs/$JOB/resume

    Files of it that were paused by themselves go on too. A pause of the organization, a lane or
    everything stays: see /api/batch/pause.
    """

    name = "Resume a job"
    limiters = ("api",)

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_doing(request, self.kwargs["job_id"], offers.resume)

    @extend_schema(operation_id="job_resume", request=None, responses=JobSerializer)
    @refuses(JobFinished)
    def post(self, request: Request, job_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        return shown(request, resume_job(actor=actor, job=job_of(actor, job_id)))


class JobRetry(APIView):
    """Run the files of a finished job again that failed or were cancelled.

        curl -X POST -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/jobs/$JOB/retry

    Results so far stay. A quarantined file goes along only when an owner or admin asks.
    """

    name = "Retry a job"
    limiters = ("api",)

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_doing(request, self.kwargs["job_id"], offers.retry)

    @extend_schema(operation_id="job_retry", request=None, responses=JobSerializer)
    @refuses(BatchesOff, JobUnfinished, NothingToRetry)
    def post(self, request: Request, job_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        return shown(request, retry_job(actor=actor, job=job_of(actor, job_id)))


class JobRequeue(APIView):
    """Read every file of a finished job again, also those that succeeded.

        curl -X POST -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/jobs/$JOB/requeue

    What was read stays until its file is read anew; duplicates are read for themselves. A
    quarantined file goes along only when an owner or admin asks.
    """

    name = "Requeue a job"
    limiters = ("api",)

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_doing(request, self.kwargs["job_id"], offers.requeue)

    @extend_schema(operation_id="job_requeue", request=None, responses=JobSerializer)
    @refuses(BatchesOff, JobUnfinished, NothingToRetry)
    def post(self, request: Request, job_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        return shown(request, requeue_job(actor=actor, job=job_of(actor, job_id)))


class JobDiscard(APIView):
    """Say that what failed in a job needs nobody any more.

        curl -X POST -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/jobs/$JOB/discard

    It is left out of what failed lately. Nothing of it is deleted, and it can still be retried.
    """

    name = "Discard a job"
    limiters = ("api",)

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_doing(request, self.kwargs["job_id"], offers.discard)

    @extend_schema(operation_id="job_discard", request=None, responses=JobSerializer)
    @refuses(JobUnfinished, NothingToDiscard)
    def post(self, request: Request, job_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        return shown(request, discard_job(actor=actor, job=job_of(actor, job_id)))
