"""What you were told, by API: list, read, mark."""

from typing import Any
from uuid import UUID

import django_filters
from django import forms
from django.db.models import QuerySet
from django.forms import CheckboxSelectMultiple
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.actor import Actor
from apps.caching.http import conditional
from apps.core.browsable import Offer
from apps.core.filters import refuse_unknown_parameters
from apps.core.pagination import CursorPagination
from apps.core.schema import CONDITIONAL, refuses
from apps.notifications.badge import Badge
from apps.notifications.errors import require_enabled
from apps.notifications.kinds import KINDS
from apps.notifications.models import Notification
from apps.notifications.reading import notification_of
from apps.notifications.serializers import (
    MarkedSerializer,
    NotificationSerializer,
    PreferencesSerializer,
    ReadAllSerializer,
    ReadSerializer,
    UnreadSerializer,
    fields_of,
)
from apps.notifications.services import change_choices, choices_of, mark, mark_all_read

YES_OR_NO = {"true": True, "false": False}


class ReadForm(forms.Form):
    read = forms.ChoiceField(
        choices=[("true", "Read"), ("false", "Unread")],
        help_text="What is unread counts on the bell.",
    )


class WhileEnabled(APIView):
    """Answers NotificationsDisabled while ENABLE_NOTIFICATIONS is off."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        require_enabled()


class NotificationFilter(django_filters.FilterSet):
    unread = django_filters.ChoiceFilter(
        choices=[(each, each) for each in YES_OR_NO],
        method="that_are_unread",
        label="Unread",
        empty_label="any",
        help_text="true for the unread, false for the others.",
    )
    kind = django_filters.MultipleChoiceFilter(
        choices=[(each, each) for each in KINDS],
        widget=CheckboxSelectMultiple,
        label="Kind",
        help_text="One or more.",
    )

    def that_are_unread(
        self, rows: QuerySet[Notification], _name: str, wanted: str
    ) -> QuerySet[Notification]:
        return rows.filter(read_at__isnull=YES_OR_NO[wanted])


class NotificationPagination(CursorPagination):
    ordering = ("-told_at", "-id")


class NotificationList(WhileEnabled, generics.ListAPIView[Notification]):
    """What you were told, the newest first, in pages.

        curl -H "Authorization: Bearer $KEY" "$DOCMILL/api/notifications?unread=true"

    They are yours alone: of all organizations that you are a member of, and through an API key of
    its organization. There is one for each thing, such as a job; what becomes of it later changes
    it, makes it unread and moves it to the front.
    """

    name = "Notifications"
    limiters = ("api",)
    serializer_class = NotificationSerializer
    filterset_class = NotificationFilter
    pagination_class = NotificationPagination
    queryset = Notification.objects.none()
    below = (
        ("notifications-unread", "How many are unread."),
        ("notifications-read", "Marks all as read."),
        ("notification-preferences", "What you want to be told, and where."),
    )

    def get_queryset(self) -> QuerySet[Notification]:
        rows: QuerySet[Notification] = Notification.objects.shown_to(Actor.of_request(self.request))
        return rows


class NotificationDetail(WhileEnabled):
    """One notification.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/notifications/$NOTIFICATION

    Reading it here leaves it unread. Mark it:

        curl -X PATCH -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
            -d '{"read": true}' $DOCMILL/api/notifications/$NOTIFICATION
    """

    name = "Notification"
    limiters = ("api",)

    def offers(self, request: Request) -> list[Offer]:
        row = notification_of(Actor.of_request(request), self.kwargs["notification_id"])
        return [
            Offer(
                "Mark it",
                "PATCH",
                form=ReadForm(initial={"read": str(row.read_at is None).lower()}),
            )
        ]

    @extend_schema(operation_id="notification_read", responses=NotificationSerializer)
    def get(self, request: Request, notification_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        return _shown(request, notification_of(Actor.of_request(request), notification_id))

    @extend_schema(
        operation_id="notification_change",
        summary="Mark a notification",
        request=ReadSerializer,
        responses=NotificationSerializer,
    )
    def patch(self, request: Request, notification_id: UUID) -> Response:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        row = notification_of(actor, notification_id)
        read = fields_of(ReadSerializer, request.data)["read"]
        mark(Notification.objects.shown_to(actor).filter(pk=row.pk), read=read)
        return _shown(request, notification_of(actor, notification_id))


class NotificationsRead(WhileEnabled):
    """Mark all notifications as read.

        curl -X POST -H "Authorization: Bearer $KEY" $DOCMILL/api/notifications/read

    With `until`, a moment, what came later stays unread; with `kind`, whatever is of another.
    """

    name = "Mark all as read"
    limiters = ("api",)

    def offers(self, _request: Request) -> list[Offer]:
        return [Offer("Mark all as read")]

    @extend_schema(
        operation_id="notifications_read", request=ReadAllSerializer, responses=MarkedSerializer
    )
    def post(self, request: Request) -> Response:
        refuse_unknown_parameters(request)
        rows = Notification.objects.shown_to(Actor.of_request(request))
        given = fields_of(ReadAllSerializer, request.data or {})
        if "kind" in given:
            rows = rows.filter(kind=given["kind"])
        return Response({"marked": mark_all_read(rows, until=given.get("until"))})


class NotificationsUnread(WhileEnabled):
    """How many notifications are unread: to ask again and again.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/notifications/unread

    Send the ETag of the last answer as If-None-Match: while nothing changes it is 304, without a
    body.
    """

    name = "Unread notifications"
    limiters = ("live",)

    @extend_schema(
        operation_id="notifications_unread", responses={200: UnreadSerializer, 304: None}
    )
    @refuses(*CONDITIONAL)
    def get(self, request: Request) -> Response | HttpResponse:
        refuse_unknown_parameters(request)
        badge = Badge.of(Actor.of_request(request))
        told = {"count": badge.count, "is_more": badge.is_many, "newest_at": badge.newest}
        answer = Response(UnreadSerializer(told).data, headers={"ETag": badge.etag})
        return conditional(request, answer, badge.etag)


class NotificationPreferences(WhileEnabled):
    """What you want to be told, and where: in the app, by e-mail, through webhooks.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/notifications/preferences

    Change what you name; the rest stays as it is:

        curl -X PATCH -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
            -d '{"job_finished": {"email": "daily"}}' $DOCMILL/api/notifications/preferences

    They are yours, in every organization.
    """

    name = "What to be told"
    limiters = ("api",)

    @extend_schema(operation_id="notification_preferences_read", responses=PreferencesSerializer)
    def get(self, request: Request) -> Response:
        refuse_unknown_parameters(request)
        user = Actor.of_request(request).user
        return Response(PreferencesSerializer(choices_of(user)).data)

    @extend_schema(
        operation_id="notification_preferences_change",
        summary="Choose what to be told",
        request=PreferencesSerializer,
        responses=PreferencesSerializer,
    )
    def patch(self, request: Request) -> Response:
        refuse_unknown_parameters(request)
        user = Actor.of_request(request).user
        given = fields_of(PreferencesSerializer, request.data, partial=True)
        return Response(PreferencesSerializer(change_choices(user=user, changes=given)).data)


def _shown(request: Request, row: Notification) -> Response:
    return Response(NotificationSerializer(row, context={"request": request}).data)
