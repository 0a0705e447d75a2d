"""The service's URL table, and views that go wrong in every way."""

import logging
from collections.abc import Iterator
from http import HTTPStatus

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.errors import Forbidden
from apps.core.errors import DocmillError, FieldError, InvalidInput, NotFound, Unavailable
from apps.jobs.errors import BatchTooLarge, JobUnfinished
from config import urls

SECRET = "a detail that is nobody's business"


class TooOften(DocmillError):
    """None of the service's own is a 429 by itself."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    title = "Too many requests"


ERRORS: dict[str, Exception] = {
    "bug": RuntimeError(SECRET),
    "database": OperationalError(SECRET),
    "denied": PermissionDenied(SECRET),
    "gone": Http404(SECRET),
    "ours": InvalidInput("It is bad.", errors=[FieldError("a.b", "bad", "Half: \ud800.")]),
    "later": DocmillError("Wait.", retry_after=7),
    "suspicious": SuspiciousOperation(SECRET),
    "role": Forbidden("Your role here, reader, does not allow it: create jobs."),
    "missing": NotFound(),
    "conflict": JobUnfinished("Wait for it, or cancel it."),
    "large": BatchTooLarge("It is too long."),
    "often": TooOften(retry_after=125),
    "busy": Unavailable(),
}


class Failing(APIView):
    permission_classes = [AllowAny]

    def get(self, request: Request, kind: str) -> Response:
        raise ERRORS[kind]


class Inner(serializers.Serializer[None]):
    number = serializers.IntegerField(min_value=1)


class Outer(serializers.Serializer[None]):
    inner = Inner()
    rows = Inner(many=True)

    def validate(self, attrs: dict[str, object]) -> dict[str, object]:
        raise serializers.ValidationError("As a whole it is bad.")


class Echo(APIView):
    permission_classes = [AllowAny]

    def post(self, request: Request) -> Response:
        form = Outer(data=request.data)
        form.is_valid(raise_exception=True)
        return Response(form.data)


def plain(request: HttpRequest, kind: str) -> HttpResponse:
    """Outside Django REST framework."""
    if kind == "session":
        request.session["changed"] = "so that it is saved after the view"
        return HttpResponse()
    raise ERRORS[kind]


def streamed(request: HttpRequest) -> StreamingHttpResponse:
    def chunks() -> Iterator[bytes]:
        logging.getLogger("tests").warning("while streaming")
        yield b"x"

    return StreamingHttpResponse(chunks())


urlpatterns = [
    path("api/failing/<kind>", Failing.as_view()),
    path("api/echo", Echo.as_view()),
    path("api/plain/<kind>", plain),
    path("plain/<kind>", plain),
    path("api/streamed", streamed),
    *urls.urlpatterns,
]
handler400 = urls.handler400
handler403 = urls.handler403
handler404 = urls.handler404
handler500 = urls.handler500
