"""How jobs and files look from outside. Fields may be added; these stay."""

from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import Count
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.rows import Links, Rows
from apps.core.schema import FieldErrorSerializer
from apps.jobs.changes import MAX_REASON
from apps.jobs.live import Live, live_of
from apps.jobs.models import CONTAINERS, BatchFile, BatchJob, FileAttempt
from apps.jobs.pausing import (
    Paused,
    QueuePause,
    is_held,
    pause_of_file,
    pauses_of_jobs,
    pauses_of_queue,
)
from apps.jobs.results import error_of
from apps.jobs.states import FILE_STATES, JOB_STATES
from apps.queue.models import PRIORITIES, Priority


class CountsSerializer(serializers.Serializer[Any]):
    total = serializers.IntegerField()
    queued = serializers.IntegerField()
    running = serializers.IntegerField()
    retry_wait = serializers.IntegerField()
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()
    quarantined = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    rejected = serializers.IntegerField()
    duplicate = serializers.IntegerField(help_text="Of the succeeded, those that were read before.")


class PausedSerializer(serializers.Serializer[Any]):
    by = serializers.CharField(
        allow_null=True,
        help_text="A member's name, or an operator; null where it was nobody by name.",
    )
    reason = serializers.CharField(allow_blank=True)
    since = serializers.DateTimeField(allow_null=True)


class QueuePauseSerializer(PausedSerializer):
    scope = serializers.ChoiceField(choices=["everything", "lane", "organization"])
    lane = serializers.CharField(allow_blank=True, help_text="Empty for every lane.")
    until = serializers.DateTimeField(allow_null=True, help_text="When it ends by itself.")


class PausesSerializer(serializers.Serializer[Any]):
    pauses = QueuePauseSerializer(many=True)


class ReasonSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=MAX_REASON, default="", allow_blank=True)


class FileChangeSerializer(serializers.Serializer[Any]):
    """What of a file can be changed."""

    priority = serializers.ChoiceField(choices=list(PRIORITIES))


class JobChangeSerializer(serializers.Serializer[Any]):
    """What of a job can be changed: at least one."""

    priority = serializers.ChoiceField(choices=list(PRIORITIES), required=False)
    kept = serializers.BooleanField(
        required=False, help_text="Whether cleanup leaves the job alone, however old it gets."
    )


class JobSerializer(Rows, serializers.ModelSerializer[BatchJob]):
    """A job, as lists show it."""

    has_password = serializers.SerializerMethodField(
        help_text="Whether a password for its documents was given; it is not shown to anybody."
    )
    priority = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=list(JOB_STATES))
    counts = serializers.SerializerMethodField()
    progress = serializers.SerializerMethodField()
    eta_seconds = serializers.SerializerMethodField()
    queue_position = serializers.SerializerMethodField()
    paused = serializers.SerializerMethodField()
    kept = serializers.BooleanField(
        source="is_kept", help_text="Whether cleanup leaves it alone, however old it gets."
    )
    request_id = serializers.CharField(
        help_text="Of the request that submitted it or ran it again last; logs tell it."
    )
    url = serializers.SerializerMethodField()
    files_url = serializers.SerializerMethodField()
    results_url = serializers.SerializerMethodField()

    class Meta:
        model = BatchJob
        fields = [
            "id",
            "name",
            "operation",
            "options",
            "has_password",
            "priority",
            "state",
            "run",
            "counts",
            "progress",
            "eta_seconds",
            "queue_position",
            "paused",
            "kept",
            "discarded_at",
            "revision",
            "request_id",
            "created_at",
            "started_at",
            "finished_at",
            "expires_at",
            "url",
            "files_url",
            "results_url",
        ]

    @cached_property
    def _page(self) -> tuple[dict[UUID, Live], dict[UUID, int], dict[UUID, Paused]]:
        """All jobs that are shown, live, their places in line, and who paused them: a fixed number
        of queries."""
        shown = (self.parent or self).instance
        jobs = [shown] if isinstance(shown, BatchJob) else list(shown or [])
        return live_of(jobs), BatchFile.objects.waiting_before(jobs), pauses_of_jobs(jobs)

    def _live(self, job: BatchJob) -> Live:
        return self._page[0][job.pk]

    def get_has_password(self, job: BatchJob) -> bool:
        return bool(job.sealed_password)

    @extend_schema_field(serializers.ChoiceField(choices=list(PRIORITIES)))
    def get_priority(self, job: BatchJob) -> str:
        return str(Priority(job.priority).label)

    @extend_schema_field(CountsSerializer)
    def get_counts(self, job: BatchJob) -> dict[str, int]:
        return self._live(job).counts

    def get_progress(self, job: BatchJob) -> float:
        return self._live(job).progress

    def get_eta_seconds(self, job: BatchJob) -> int | None:
        return self._live(job).eta_seconds

    def get_queue_position(self, job: BatchJob) -> int | None:
        """How many files of all jobs stand before this one's next, 1000 for so many or more; None
        when none is in line, as while it is paused."""
        return self._page[1].get(job.pk)

    @extend_schema_field(PausedSerializer(allow_null=True))
    def get_paused(self, job: BatchJob) -> dict[str, Any] | None:
        """Its own pause; those of the queue are at /api/batch/pause."""
        paused = self._page[2].get(job.pk)
        return dict(PausedSerializer(paused).data) if paused else None

    @cached_property
    def _links(self) -> Links:
        return Links(self.context.get("request"))

    def get_url(self, job: BatchJob) -> str:
        return self._links("job", job.pk)

    def get_files_url(self, job: BatchJob) -> str:
        return self._links("job-files", job.pk)

    def get_results_url(self, job: BatchJob) -> str:
        return self._links("job-results-ndjson", job.pk)


class ErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    # "class" is a Python keyword, so the field is declared below by name.
    detail = serializers.CharField()
    advice = serializers.CharField(help_text="What can be done about it.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {**super().get_fields(), "class": serializers.CharField()}


class ResultSummarySerializer(Rows):
    pages = serializers.IntegerField()
    words = serializers.IntegerField()
    language = serializers.CharField(allow_blank=True)
    quality = serializers.ChoiceField(choices=["full", "partial"])
    engine = serializers.CharField()
    metadata = serializers.DictField(child=serializers.CharField())
    warnings = serializers.ListField(child=serializers.CharField())


class FileSerializer(Rows, serializers.ModelSerializer[BatchFile]):
    """A file of a job."""

    job_id = serializers.UUIDField()
    parent_id = serializers.UUIDField(
        allow_null=True, help_text="The file that this one was found in; null for a submitted one."
    )
    members = serializers.SerializerMethodField(
        help_text="How many files were found in an archive or mail; null for any other file."
    )
    state = serializers.ChoiceField(choices=list(FILE_STATES))
    error = serializers.SerializerMethodField()
    duplicate_of = serializers.UUIDField(
        source="duplicate_of_id",
        read_only=True,
        allow_null=True,
        help_text="The file whose result a duplicate has, while that one is there.",
    )
    waits_for = serializers.UUIDField(
        source="waits_for_id",
        read_only=True,
        allow_null=True,
        help_text="The file with the same bytes that is read first; this one gets its result.",
    )
    is_held = serializers.SerializerMethodField(
        help_text="Whether it waits because it, its job, its lane, your organization or everything "
        "is paused."
    )
    result = serializers.SerializerMethodField()
    text_url = serializers.SerializerMethodField()
    result_url = serializers.SerializerMethodField()
    content_url = serializers.SerializerMethodField()
    searchable_url = serializers.SerializerMethodField()

    class Meta:
        model = BatchFile
        fields = [
            "id",
            "job_id",
            "parent_id",
            "position",
            "name",
            "size_bytes",
            "sha256",
            "content_type",
            "members",
            "state",
            "stage",
            "progress",
            "run",
            "attempts",
            "error",
            "duplicate_of",
            "waits_for",
            "is_held",
            "result",
            "text_url",
            "result_url",
            "content_url",
            "searchable_url",
            "created_at",
            "started_at",
            "finished_at",
        ]

    @cached_property
    def _members(self) -> dict[UUID, int]:
        """Of all files that are shown, how many were found in each: one query."""
        shown = (self.parent or self).instance
        files = [shown] if isinstance(shown, BatchFile) else list(shown or [])
        found = BatchFile.objects.filter(parent__in=[f.pk for f in files if f.kind in CONTAINERS])
        return dict(found.order_by().values_list("parent").annotate(Count("pk")))

    def get_members(self, file: BatchFile) -> int | None:
        return self._members.get(file.pk, 0) if file.kind in CONTAINERS else None

    @cached_property
    def _pauses(self) -> list[QueuePause]:
        """Those of the queue that hold back any of the files: they are of one organization."""
        shown = (self.parent or self).instance
        files = [shown] if isinstance(shown, BatchFile) else list(shown or [])
        return pauses_of_queue(files[0].organization_id) if files else []

    def get_is_held(self, file: BatchFile) -> bool:
        return is_held(file, self._pauses)

    @extend_schema_field(ErrorSerializer(allow_null=True))
    def get_error(self, file: BatchFile) -> dict[str, str] | None:
        return error_of(file)

    @extend_schema_field(ResultSummarySerializer(allow_null=True))
    def get_result(self, file: BatchFile) -> dict[str, Any] | None:
        if not hasattr(file, "result"):
            return None
        return ResultSummarySerializer().to_representation(file.result)

    @cached_property
    def _links(self) -> Links:
        return Links(self.context.get("request"))

    def get_text_url(self, file: BatchFile) -> str | None:
        return self._links("file-text", file.pk) if hasattr(file, "result") else None

    def get_result_url(self, file: BatchFile) -> str | None:
        return self._links("file-result", file.pk) if hasattr(file, "result") else None

    def get_content_url(self, file: BatchFile) -> str | None:
        return self._links("file-content", file.pk) if file.content_id else None

    def get_searchable_url(self, file: BatchFile) -> str | None:
        has_one = hasattr(file, "result") and file.result.searchable_id
        return self._links("file-searchable", file.pk) if has_one else None


class AttemptSerializer(Rows, serializers.ModelSerializer[FileAttempt]):
    """One execution: where, when, how it ended, and what it cost."""

    worker = serializers.UUIDField(
        source="worker_id", help_text="The worker's id, which is new at each of its starts."
    )

    class Meta:
        model = FileAttempt
        fields = [
            "run",
            "number",
            "lane",
            "worker",
            "started_at",
            "ended_at",
            "outcome",
            "failure_class",
            "code",
            "detail",
            "stage",
            "peak_rss_bytes",
            "cpu_seconds",
        ]


class FileDetailSerializer(FileSerializer):
    """A file with its own pause, and its attempts, the latest first."""

    paused = serializers.SerializerMethodField()
    attempts_made = serializers.SerializerMethodField()

    class Meta(FileSerializer.Meta):
        fields = [*FileSerializer.Meta.fields, "paused", "attempts_made"]

    @extend_schema_field(PausedSerializer(allow_null=True))
    def get_paused(self, file: BatchFile) -> dict[str, Any] | None:
        """Where it is paused by itself; what else holds it is told by its job and
        /api/batch/pause."""
        paused = pause_of_file(file)
        return dict(PausedSerializer(paused).data) if paused else None

    @extend_schema_field(AttemptSerializer(many=True))
    def get_attempts_made(self, file: BatchFile) -> list[dict[str, Any]]:
        rows = file.attempts_made.order_by("-started_at", "-id").defer("traceback")
        return list(AttemptSerializer(rows, many=True).data)


class AcceptedSerializer(JobSerializer):
    """The answer to a submission: the job, and why any file was refused."""

    rejected = serializers.SerializerMethodField()

    class Meta(JobSerializer.Meta):
        fields = [*JobSerializer.Meta.fields, "rejected"]

    @extend_schema_field(FieldErrorSerializer(many=True))
    def get_rejected(self, job: BatchJob) -> list[dict[str, str]]:
        refused = BatchFile.objects.filter(job=job, state="rejected").order_by("position")
        return [
            {"field": file.name, "code": file.error_code, "detail": file.error_detail}
            for file in refused
        ]


class UploadSerializer(serializers.Serializer[Any]):
    """The form of a submission; for the schema, since the body is streamed."""

    file = serializers.ListField(child=serializers.FileField(), required=False, max_length=50)
    upload_ids = serializers.CharField(
        default="",
        allow_blank=True,
        help_text="Ids of finished uploads in parts, with commas between them.",
    )
    operation = serializers.CharField(default="extract")
    priority = serializers.ChoiceField(choices=list(PRIORITIES), default="normal")
    name = serializers.CharField(max_length=200, default="", allow_blank=True)
    options = serializers.CharField(
        default="{}",
        help_text='A JSON object: {"languages": ["eng"], "pages": "1-3", "ocr": "auto", '
        '"password": "..."}',
    )
