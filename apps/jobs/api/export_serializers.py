"""How exports look from outside. Fields may be added; these stay."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from apps.jobs.formats import FORMATS
from apps.jobs.models import Export
from apps.jobs.models.exports import BUILT
from apps.queue.states import State


class ExportOrderSerializer(serializers.Serializer[Any]):
    """What to build."""

    format = serializers.ChoiceField(choices=list(FORMATS))
    jobs = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=50)


class ExportErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()


class ExportSerializer(serializers.ModelSerializer[Export]):
    """A download that is built in the background."""

    jobs = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=[BUILT, *map(str, State)])
    progress = serializers.FloatField(help_text="0 to 1.")
    complete = serializers.SerializerMethodField(
        help_text="Whether its jobs had ended when it was built; null until it is ready."
    )
    size_bytes = serializers.SerializerMethodField()
    sha256 = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()
    content_url = serializers.SerializerMethodField()

    class Meta:
        model = Export
        fields = [
            "id",
            "format",
            "name",
            "jobs",
            "state",
            "progress",
            "complete",
            "size_bytes",
            "sha256",
            "error",
            "created_at",
            "ready_at",
            "expires_at",
            "url",
            "content_url",
        ]

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_jobs(self, export: Export) -> list[UUID]:
        return [job.pk for job in export.jobs.all()]

    def get_complete(self, export: Export) -> bool | None:
        return export.is_complete if export.content_id else None

    def get_size_bytes(self, export: Export) -> int | None:
        return export.content.size_bytes if export.content else None

    def get_sha256(self, export: Export) -> str | None:
        return export.content.sha256 if export.content else None

    @extend_schema_field(ExportErrorSerializer(allow_null=True))
    def get_error(self, export: Export) -> dict[str, str] | None:
        """Why it failed, or waits to be tried again."""
        item = export.item
        if export.content_id or item is None or not item.error_code:
            return None
        return {"code": item.error_code, "detail": item.error_detail}

    def get_url(self, export: Export) -> str:
        return self._absolute("export", export)

    def get_content_url(self, export: Export) -> str | None:
        return self._absolute("export-content", export) if export.content_id else None

    def _absolute(self, name: str, export: Export) -> str:
        return str(reverse(name, args=[export.pk], request=self.context.get("request")))
