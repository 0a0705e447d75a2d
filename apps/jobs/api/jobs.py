"""Jobs: list, read, change and delete."""

from uuid import UUID

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from django.forms import CheckboxSelectMultiple
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.actor import Actor
from apps.core.browsable import Offer
from apps.core.filters import MomentFilter, refuse_unknown_parameters
from apps.core.pagination import CursorPagination
from apps.core.schema import refuses
from apps.jobs.api import offers
from apps.jobs.api.control import change_in, shown
from apps.jobs.api.serializers import FileSerializer, JobChangeSerializer, JobSerializer
from apps.jobs.errors import JobFinished, JobUnfinished
from apps.jobs.formats import FORMATS
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.reading import job_of
from apps.jobs.services import delete_job, keep_job, prioritize_job
from apps.jobs.states import FILE_STATES, JobState
from apps.queue.models import PRIORITIES

A_MOMENT = "ISO 8601, such as 2026-01-31T09:00:00Z; without a zone it is UTC."


class JobFilter(django_filters.FilterSet):
    state = django_filters.MultipleChoiceFilter(
        choices=[(s, s) for s in map(str, JobState)],
        widget=CheckboxSelectMultiple,
        label="State",
        help_text="One or more.",
    )
    operation = django_filters.CharFilter(
        max_length=32, label="Operation", help_text="In full, such as extract."
    )
    priority = django_filters.ChoiceFilter(
        choices=[(label, label) for label in PRIORITIES],
        method="of_priority",
        label="Priority",
        empty_label="any",
        help_text="One.",
    )
    name = django_filters.CharFilter(
        lookup_expr="icontains",
        max_length=200,
        label="Name",
        help_text="A part of the job's name, capital or small.",
    )
    created_after = MomentFilter("created_at", "gte", label="Created after", help_text=A_MOMENT)
    created_before = MomentFilter("created_at", "lt", label="Created before", help_text=A_MOMENT)

    def of_priority(self, jobs: QuerySet[BatchJob], _name: str, label: str) -> QuerySet[BatchJob]:
        return jobs.filter(priority=PRIORITIES[label])


class FileFilter(django_filters.FilterSet):
    state = django_filters.MultipleChoiceFilter(
        choices=[(s, s) for s in FILE_STATES],
        widget=CheckboxSelectMultiple,
        label="State",
        help_text="One or more.",
    )
    name = django_filters.CharFilter(
        lookup_expr="icontains",
        max_length=200,
        label="Name",
        help_text="A part of the file's name, capital or small.",
    )
    parent = django_filters.UUIDFilter(
        field_name="parent_id",
        label="Found in",
        help_text="The id of an archive or mail: only what was found in it.",
    )


class JobList(generics.ListAPIView[BatchJob]):
    """The jobs of your organization, the newest first, in pages.

        curl -H "Authorization: Bearer $KEY" "$DOCMILL/api/batch/jobs?state=failed&limit=10"

    Follow next and previous of a page as they are; they hold on to their place while jobs are
    added.
    """

    name = "Jobs"
    limiters = ("api",)
    serializer_class = JobSerializer
    filterset_class = JobFilter
    queryset = BatchJob.objects.none()

    def get_queryset(self) -> QuerySet[BatchJob]:
        actor = Actor.of_request(self.request)
        actor.require("read", "jobs")
        return BatchJob.objects.in_organization(actor.organization)


class JobDetail(APIView):
    """One job, with its counts and progress.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/jobs/$JOB

    Change its priority (high, normal, low) while files wait, or keep it from cleanup, at any time:

        curl -X PATCH -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
            -d '{"priority": "high", "kept": true}' $DOCMILL/api/batch/jobs/$JOB

    Once it is finished it can be deleted, with its files and results:

        curl -X DELETE -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/jobs/$JOB
    """

    name = "Job"
    limiters = ("api",)
    below = (
        ("job-files", "Its files, in the order of submission."),
        *((f"job-results-{name}", each.about) for name, each in FORMATS.items()),
    )

    def offers(self, request: Request) -> list[Offer]:
        return offers.of_job(request, self.kwargs["job_id"])

    @extend_schema(operation_id="job_read", responses=JobSerializer)
    def get(self, request: Request, job_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        return shown(request, job_of(Actor.of_request(request), job_id))

    @extend_schema(operation_id="job_change", request=JobChangeSerializer, responses=JobSerializer)
    @refuses(JobFinished)
    def patch(self, request: Request, job_id: UUID) -> Response:
        """Change a job."""
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        job = job_of(actor, job_id)
        actor.require("update", "jobs", created_by_id=job.created_by_id)
        change = change_in(request, frozenset({"priority", "kept"}))
        with transaction.atomic():
            if change.priority is not None:  # first, for files are locked before their job
                job = prioritize_job(actor=actor, job=job, priority=change.priority)
            if change.kept is not None:
                job = keep_job(actor=actor, job=job, kept=change.kept)
        return shown(request, job)

    @extend_schema(operation_id="job_delete", summary="Delete a job", responses={204: None})
    @refuses(JobUnfinished)
    def delete(self, request: Request, job_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        delete_job(actor=actor, job=job_of(actor, job_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class FilePagination(CursorPagination):
    ordering = ("position", "id")


class JobFiles(generics.ListAPIView[BatchFile]):
    """The files of a job in the order of submission, then those found in them, in pages.

        curl -H "Authorization: Bearer $KEY" "$DOCMILL/api/batch/jobs/$JOB/files?state=failed"

    Each tells its state, why it failed if it did, and where its text and bytes are. What archives
    hold and mails bring along are files of their own, with the parent_id of what they were in.
    """

    name = "Files of a job"
    limiters = ("api",)
    serializer_class = FileSerializer
    filterset_class = FileFilter
    pagination_class = FilePagination
    queryset = BatchFile.objects.none()

    def get_queryset(self) -> QuerySet[BatchFile]:
        if "job_id" not in self.kwargs:  # the schema generator asks without a URL
            return self.queryset
        job = job_of(Actor.of_request(self.request), self.kwargs["job_id"])
        return BatchFile.objects.filter(job=job).select_related("result", "job")
