"""What the OpenAPI schema says of every operation: each status it may answer, and its problems."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Literal, TypeVar

from django_filters.filters import ChoiceFilter, MultipleChoiceFilter
from drf_spectacular.contrib.django_filters import DjangoFilterExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers
from rest_framework.permissions import AllowAny

from apps.core.errors import Changed, DocmillError, RangeNotSatisfiable
from apps.core.negotiation import OneMediaType

View = TypeVar("View", bound=Callable[..., Any])
Direction = Literal["request", "response"]


class FieldErrorSerializer(serializers.Serializer[Any]):
    field = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """An RFC 9457 problem document."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField(help_text="Stable; see docs/errors.md.")
    detail = serializers.CharField()
    errors = FieldErrorSerializer(many=True)  # type: ignore[assignment]  # RFC 9457's usual name
    request_id = serializers.CharField()


ANY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""What every operation may answer: also an open one refuses a key that is none, and a `format` that
it has not."""
OF_WRITES = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
WORDS = {
    HTTPStatus.BAD_REQUEST: "Malformed, out of bounds, or not known here.",
    HTTPStatus.UNAUTHORIZED: "No credentials, or none that are good.",
    HTTPStatus.FORBIDDEN: "Your role does not allow it.",
    HTTPStatus.NOT_FOUND: "There is no such thing here, or not for you.",
    HTTPStatus.NOT_ACCEPTABLE: "No representation fits Accept.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "More than is read of one request.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body has another media type than is read.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A bug of ours.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Switched off, away or too busy: see Retry-After.",
}
CONDITIONAL = (Changed,)
"""What a GET refuses whose answer has an ETag."""
IN_PARTS = (Changed, RangeNotSatisfiable)
"""The same for one of which parts may be asked for."""


def refuses(*errors: type[DocmillError]) -> Callable[[View], View]:
    """Says of a view's method which errors it answers besides those that any may."""

    def mark(method: View) -> View:
        method.refusals = errors  # type: ignore[attr-defined]  # a note for the schema
        return method

    return mark


class ProblemAutoSchema(AutoSchema):
    """Calls an operation what its page is called, and adds every problem it may answer."""

    def get_summary(self) -> str | None:
        return getattr(self.view, "name", None)

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        responses: dict[str, Any] = super()._get_response_bodies(direction)
        for status, description in sorted(self._problems().items()):
            problem = self._get_response_for_code(  # type: ignore[no-untyped-call]  # spectacular's
                ProblemSerializer, str(status), ["application/problem+json"], direction
            )
            responses.setdefault(str(status), problem | {"description": description})
        return responses

    def _problems(self) -> dict[int, str]:
        """Status -> what it means here."""
        statuses = [*ANY]
        is_safe = self.method in ("GET", "HEAD")
        if not (is_safe and self._is_open()):
            statuses.append(HTTPStatus.FORBIDDEN)
        if getattr(self.view, "content_negotiation_class", None) is not OneMediaType:
            statuses.append(HTTPStatus.NOT_ACCEPTABLE)
        if not is_safe:
            statuses += OF_WRITES
        told = {int(status): WORDS[status] for status in statuses}
        method = getattr(self.view, str(self.method).lower(), None)
        for error in getattr(method, "refusals", ()):
            line = f"`{error.code}`: {error.title}."
            told[int(error.status)] = f"{told.get(int(error.status), '')} {line}".strip()
        return told

    def _is_open(self) -> bool:
        """Whether nobody is asked who they are."""
        return list(self.view.permission_classes) == [AllowAny]


class StrictFilterExtension(DjangoFilterExtension):
    """What spectacular says of filters, but that a choice is a word whatever the column beneath
    holds, and that no word is empty: see `apps.core.filters.StrictFilterBackend`."""

    target_class = "apps.core.filters.StrictFilterBackend"
    priority = 1

    def resolve_filter_field(self, *args: Any) -> list[dict[str, Any]]:
        *_, field = args
        parameters: list[dict[str, Any]] = super().resolve_filter_field(*args)  # type: ignore[no-untyped-call]  # spectacular's
        for schema in (parameter["schema"] for parameter in parameters):
            words = schema["items"] if isinstance(field, MultipleChoiceFilter) else schema
            if isinstance(field, ChoiceFilter | MultipleChoiceFilter):
                words["type"] = "string"
            elif words.get("type") == "string" and "format" not in words:
                words["minLength"] = 1
        return parameters
