"""How notifications look from outside, and what is sent to change them."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from django.http import QueryDict
from rest_framework import serializers

from apps.core.errors import FieldError, InvalidInput
from apps.core.rows import Links, Rows
from apps.notifications.kinds import KINDS
from apps.notifications.models import Notification
from apps.notifications.preferences import Mail

IN_FORMS = {"true": True, "false": False}


class NotificationSerializer(Rows, serializers.ModelSerializer[Notification]):
    """What somebody was told, in words; `subject` and `what` are the two halves of `title`."""

    kind = serializers.ChoiceField(choices=list(KINDS))
    title = serializers.CharField(source="told.title")
    subject = serializers.CharField(source="told.subject", help_text="What it is about.")
    what = serializers.CharField(source="told.what", help_text="What happened to it, or empty.")
    text = serializers.CharField(source="told.text")
    organization_id = serializers.UUIDField()
    told_at = serializers.DateTimeField(help_text="When the latest of it was told.")
    read_at = serializers.DateTimeField(allow_null=True, help_text="Null while it is unread.")
    url = serializers.SerializerMethodField()
    about_url = serializers.SerializerMethodField()
    page_url = serializers.SerializerMethodField()

    class Meta:
        model = Notification
        fields = [
            "id",
            "kind",
            "title",
            "subject",
            "what",
            "text",
            "organization_id",
            "created_at",
            "told_at",
            "read_at",
            "url",
            "about_url",
            "page_url",
        ]

    @cached_property
    def _links(self) -> Links:
        return Links(self.context.get("request"))

    def get_url(self, row: Notification) -> str:
        return self._links("notification", row.pk)

    def get_about_url(self, row: Notification) -> str | None:
        """What it is about, in the API; null for what is nowhere there."""
        about = row.told.api
        return self._links(*about) if about else None

    def get_page_url(self, row: Notification) -> str:
        """A page for people: marks it as read and leads to what it is about."""
        return self._links("web:notification", row.pk)


class UnreadSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField(help_text="Up to 100, where counting stops.")
    is_more = serializers.BooleanField(help_text="Whether there may be more.")
    newest_at = serializers.DateTimeField(
        allow_null=True, help_text="When the newest of them was told."
    )


class YesOrNo(serializers.BooleanField):
    """True or false, and nothing else that may be taken for them; in a form as text."""

    def to_internal_value(self, data: Any) -> bool:
        if self.context.get("is_form") and data in IN_FORMS:
            return IN_FORMS[data]
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class ReadSerializer(serializers.Serializer[Any]):
    read = YesOrNo(help_text="False marks it as unread.")


class ReadAllSerializer(serializers.Serializer[Any]):
    until = serializers.DateTimeField(
        required=False,
        help_text="What came later stays unread: send the newest told_at that was looked at.",
    )
    kind = serializers.ChoiceField(choices=list(KINDS), required=False)


class MarkedSerializer(serializers.Serializer[Any]):
    marked = serializers.IntegerField(help_text="How many were unread before.")


class ChoiceSerializer(serializers.Serializer[Any]):
    in_app = YesOrNo(help_text="Whether it is in the list and on the bell.")
    email = serializers.ChoiceField(
        source="mail",
        choices=[str(each) for each in Mail],
        help_text="One mail for each, or one for all of an hour or a day.",
    )
    webhook = YesOrNo(help_text="Whether the webhooks of the organization are told of it as well.")


class PreferencesSerializer(serializers.Serializer[Any]):
    """What somebody wants to be told, where, by kind."""

    def get_fields(self) -> dict[str, Any]:
        return {
            kind.name: ChoiceSerializer(required=False, partial=self.partial, help_text=kind.about)
            for kind in KINDS.values()
        }


def fields_of(
    form: type[serializers.Serializer[Any]], given: object, *, partial: bool = False
) -> dict[str, Any]:
    """What `given` holds, checked by `form`. Raises InvalidInput for fields that it does not have,
    and REST framework's own for others."""
    if not isinstance(given, Mapping):
        raise InvalidInput("The body must be a JSON object.")
    # In a form all is text; in JSON neither 1 nor "yes" is true.
    context = {"is_form": isinstance(given, QueryDict)}
    filled = form(data=dict(given.items()), partial=partial, context=context)
    if unknown := sorted(_unknown(filled, given)):
        errors = [FieldError(name, "unknown", "There is no such field.") for name in unknown]
        raise InvalidInput(f"Unknown fields: {', '.join(unknown)}.", errors=errors)
    filled.is_valid(raise_exception=True)
    return dict(filled.validated_data)


def _unknown(form: Any, given: Mapping[str, Any]) -> Iterator[str]:
    for name, value in given.items():
        inner = form.fields.get(name)
        if inner is None:
            yield name
        elif isinstance(inner, serializers.Serializer) and isinstance(value, Mapping):
            yield from (f"{name}.{each}" for each in _unknown(inner, value))
