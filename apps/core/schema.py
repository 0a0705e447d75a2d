"""What the OpenAPI schema says of every operation: its problems."""

from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

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


class ProblemAutoSchema(AutoSchema):
    """Calls an operation what its page is called, and adds `default: Problem`: any may fail."""

    def get_summary(self) -> str | None:
        return getattr(self.view, "name", None)

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        responses: dict[str, Any] = super()._get_response_bodies(direction)
        problem = self._get_response_for_code(  # type: ignore[no-untyped-call]  # spectacular's own
            ProblemSerializer, "default", ["application/problem+json"], direction
        )
        responses.setdefault("default", problem)
        return responses
