"""What the OpenAPI schema says of limits: how an operation that has some refuses."""

from typing import Any

from rest_framework import serializers

from apps.core.schema import Direction, ProblemAutoSchema, ProblemSerializer

WHOLE = {"type": "integer", "minimum": 0}
HEADERS = {
    "Retry-After": {"schema": WHOLE, "description": "Seconds after which it is worth a try."},
    "X-RateLimit-Limit": {"schema": WHOLE, "description": "Of the window that is fullest."},
    "X-RateLimit-Remaining": {"schema": WHOLE, "description": "Left in that window."},
    "X-RateLimit-Reset": {"schema": WHOLE, "description": "Unix seconds when more is free in it."},
    "RateLimit-Policy": {"schema": {"type": "string"}, "description": "All windows."},
    "RateLimit": {"schema": {"type": "string"}, "description": "What is left in each of them."},
}


class TooManyRequestsSerializer(ProblemSerializer):
    """The problem of who reached a limit."""

    limiter = serializers.CharField(help_text="Which; see docs/rate-limits.md.")
    limit = serializers.IntegerField(
        allow_null=True, help_text="How many in its window; null where an operator blocks."
    )
    remaining = serializers.IntegerField(help_text="0.")
    retry_after = serializers.IntegerField(help_text="Seconds, as in the header Retry-After.")


class LimitedAutoSchema(ProblemAutoSchema):
    """Adds the 429 of operations that have limiters."""

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        responses = super()._get_response_bodies(direction)
        if getattr(self.view, "limiters", ("api",)):
            refusal = self._get_response_for_code(  # type: ignore[no-untyped-call]  # spectacular's
                TooManyRequestsSerializer, "429", ["application/problem+json"], direction
            )
            responses["429"] = refusal | {"headers": HEADERS}
        return responses
