"""GET /api/rate-limits: what the caller has left of each limit."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.filters import refuse_unknown_parameters
from apps.ratelimits.decision import Standing, whole_seconds
from apps.ratelimits.limiters import limiter, limiters
from apps.ratelimits.requests import GLOBAL, SIGNED_OUT, Caller
from apps.ratelimits.services import peek
from apps.ratelimits.subjects import Kind


class WindowSerializer(serializers.Serializer[Any]):
    limit = serializers.IntegerField()
    seconds = serializers.IntegerField(help_text="Any so many seconds, not those of the clock.")
    used = serializers.IntegerField()
    remaining = serializers.IntegerField()
    reset_seconds = serializers.IntegerField(help_text="Until more is free; 0 when all is.")


class LimitSerializer(serializers.Serializer[Any]):
    limiter = serializers.CharField()
    counts = serializers.CharField(help_text="What it counts, in words.")
    per = serializers.CharField(help_text="Whose count this is: user, key, organization, ...")
    retry_after = serializers.IntegerField(help_text="Seconds until it has room; 0 when it has.")
    windows = WindowSerializer(many=True, help_text="None where nothing is limited, or all is.")


class LimitsSerializer(serializers.Serializer[Any]):
    enabled = serializers.BooleanField(help_text="Whether anything is limited here.")
    limits = LimitSerializer(many=True)


class RateLimits(APIView):
    """What you have left of every limit.

        curl -H "Authorization: Bearer $KEY" $DOCMILL/api/rate-limits

    Asking costs nothing. Each limit counts by itself: what one has left is nothing that another
    could use. Who is not signed in sees those of their address.
    """

    name = "Rate limits"
    limiters = ()
    permission_classes = [AllowAny]

    @extend_schema(operation_id="rate_limits", tags=["api"], responses=LimitsSerializer)
    def get(self, request: Request) -> Response:
        refuse_unknown_parameters(request)
        caller = Caller.of(request)
        limits = list(_limits(caller)) if settings.ENABLE_RATE_LIMITING else []
        shown = {"enabled": settings.ENABLE_RATE_LIMITING, "limits": limits}
        return Response(LimitsSerializer(shown).data)


def _limits(caller: Caller) -> Iterator[dict[str, Any]]:
    """All of the caller's; what all callers together have left is nobody's to know."""
    names = (name for name in limiters() if name not in (GLOBAL[0], SIGNED_OUT))
    pairs = [caller.pair(name) for name in names]
    if not caller.is_signed_in:
        own = (Kind.ADDRESS, Kind.EVERYTHING)
        pairs = list(dict.fromkeys(pair for pair in pairs if pair[1].kind in own))
    found = peek(pairs, caller=caller.ruled_by).parts
    parts = {part.limiter: part for part in found if not part.shadow}
    for name, subject in pairs:
        part = parts.get(name)
        yield {
            "limiter": name,
            "counts": limiter(name).counts,
            "per": subject.kind.word,
            "retry_after": whole_seconds(part.wait_ms) if part else 0,
            "windows": [_window(each) for each in part.windows] if part else [],
        }


def _window(standing: Standing) -> dict[str, int]:
    return {
        "limit": standing.window.limit,
        "seconds": standing.window.seconds,
        "used": standing.used,
        "remaining": standing.remaining,
        "reset_seconds": standing.reset_seconds,
    }
