"""The limits of the REST API. Each view names its limiters:

limiters = ("api",)                    counted before the view is asked
counted_within = ("batch-upload",)     counted by the view, once it knows that it counts
"""

from typing import TYPE_CHECKING, Any

from django.db import Error
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from apps.core import problems
from apps.core.errors import DocmillError
from apps.ratelimits.errors import TooManyRequests
from apps.ratelimits.requests import count, decisions_of

if TYPE_CHECKING:
    # That module reads the setting that names this one while it is being imported.
    from rest_framework.views import APIView

UNNAMED = ("api",)
"""The limiters of a view that names none."""


class Limits(BaseThrottle):
    """Counts the request for all limiters of the view at once. Raises TooManyRequests."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        count_for(request, view)
        return True


def count_for(request: Request, view: "APIView") -> None:
    """Raises TooManyRequests. Nothing is asked where the view has no limiters."""
    if names := getattr(view, "limiters", UNNAMED):
        count(request, *names)


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response:
    """Django REST framework's EXCEPTION_HANDLER: what is refused before the limits are asked counts
    as well. Who guesses keys, or knocks without one, is `anonymous`."""
    request, view = context.get("request"), context["view"]
    is_refusal = isinstance(exc, APIException | DocmillError)
    if is_refusal and request is not None and not decisions_of(request):
        exc = _counted(request, view) or exc
    return problems.exception_handler(exc, context)


def _counted(request: Request, view: "APIView") -> TooManyRequests | None:
    """The refusal of the limits, where there is one. What fails on the way to it is not told: the
    request has failed already."""
    try:
        count_for(request, view)
    except TooManyRequests as refusal:
        return refusal
    except APIException:
        # Who asks was not looked at before, and is refused too: by now they are nobody.
        return _counted(request, view)
    except Error:
        return None
    return None
