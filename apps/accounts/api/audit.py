"""The audit log of one's organization: read, and taken along."""

from typing import Any, ClassVar

import django_filters
from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import generics, serializers
from rest_framework.request import Request

from apps.accounts.actor import Actor
from apps.accounts.reading import entries_seen_by
from apps.audit import exporting
from apps.audit.models import AuditEntry, EntryQuerySet
from apps.audit.services import record
from apps.core.filters import MomentFilter
from apps.core.negotiation import OneMediaType
from apps.core.pagination import CursorPagination

A_MOMENT = "ISO 8601, such as 2026-01-31T09:00:00Z; without a zone it is UTC."


class EntryFilter(django_filters.FilterSet):
    action = django_filters.CharFilter(
        max_length=64, label="Action", help_text="In full, such as job.delete."
    )
    actor = django_filters.CharFilter(
        "actor_name", max_length=254, label="Who", help_text="The whole e-mail address."
    )
    since = MomentFilter("at", "gte", label="Since", help_text=A_MOMENT)
    until = MomentFilter("at", "lt", label="Until", help_text=A_MOMENT)

    class Meta:
        model = AuditEntry
        fields: ClassVar[list[str]] = []


class EntrySerializer(serializers.ModelSerializer[AuditEntry]):
    detail = serializers.SerializerMethodField(help_text="What it was about, by its action.")
    actor = serializers.CharField(
        source="actor_name", help_text="The address of who did it then; system for nobody."
    )

    class Meta:
        model = AuditEntry
        fields: ClassVar[list[str]] = [
            *("id", "number", "at", "actor", "action", "target", "target_id"),
            *("detail", "reason", "previous", "hash"),
        ]

    def get_detail(self, entry: AuditEntry) -> dict[str, Any]:
        return exporting.detail_of(entry)


class NewestFirst(CursorPagination):
    ordering = ("-id",)  # type: ignore[assignment]  # one column is an order too


class OwnEntries(generics.GenericAPIView[AuditEntry]):
    """What views of the log share."""

    limiters = ("api",)
    filterset_class = EntryFilter
    queryset = AuditEntry.objects.none()

    def get_queryset(self) -> EntryQuerySet:
        actor = Actor.of_request(self.request)
        return entries_seen_by(actor)


@extend_schema_view(get=extend_schema(operation_id="audit_list", tags=["organization"]))
class AuditList(OwnEntries, generics.ListAPIView[AuditEntry]):
    """Who did what in your organization, the newest first, in pages. Owners and
    admins see everything, others what they did themselves.

        curl -H "Authorization: Bearer $KEY" "$DOCMILL/api/audit?action=job.delete"

    Nothing here is ever changed or taken away. Each entry has the hash of the one before, so that
    whoever has the file can tell; those who run the installation prove it by `verify_audit`.
    """

    name = "Audit log"
    serializer_class = EntrySerializer
    pagination_class = NewestFirst


MOMENT_OR_NOTHING = {
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "maxLength": 0}]
}
"""A form sends what was left empty."""
CHOSEN_BY = [
    OpenApiParameter("action", str),
    OpenApiParameter("actor", str),
    OpenApiParameter("since", MOMENT_OR_NOTHING),
    OpenApiParameter("until", MOMENT_OR_NOTHING),
]


def export_view(format_name: str) -> Any:
    """The view that sends the log as a file of that format."""
    made = exporting.FORMATS[format_name]

    class AuditExport(OwnEntries):
        name = f"Audit log as {format_name.upper()}"
        content_negotiation_class = OneMediaType

        @extend_schema(
            operation_id=f"audit_{format_name}",
            tags=["organization"],
            summary=f"The audit log as {format_name.upper()}",
            parameters=CHOSEN_BY,
            responses={(200, made.media_type.partition(";")[0]): OpenApiTypes.BINARY},
            filters=False,
        )
        def get(self, request: Request) -> StreamingHttpResponse:
            entries: Any = self.filter_queryset(self.get_queryset())
            actor = Actor.of_request(request)
            record(
                organization=actor.organization,
                actor=actor.user,
                action="audit.export",
                target="organization",
                target_id=actor.organization.pk,
                detail={**request.query_params.dict(), "format": format_name},
            )
            called = f"audit-{timezone.now():%Y-%m-%d}.{format_name}"
            disposition = content_disposition_header(as_attachment=True, filename=called)
            headers = {
                "Content-Disposition": str(disposition),
                "Content-Security-Policy": "sandbox; default-src 'none'",
            }
            return StreamingHttpResponse(
                made.write(entries), content_type=made.media_type, headers=headers
            )

    AuditExport.__doc__ = f"""The audit log, or what matches, the oldest first, as {made.label}.

        curl -OJ -H "Authorization: Bearer $KEY" $DOCMILL/api/audit.{format_name}

    Owners and admins get everything, others what they did. Every line has all that is hashed. That
    it was fetched is an entry too.
    """
    AuditExport.__name__ = AuditExport.__qualname__ = f"Audit{format_name.title()}"
    return AuditExport.as_view()
