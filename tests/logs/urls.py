"""The service's addresses, and one that fails."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from config import urls


def fail(request: HttpRequest, token: str) -> HttpResponse:
    password = request.headers["X-Password"]
    raise RuntimeError(f"no luck with Bearer {request.headers['X-Key']}, password={password}")


urlpatterns = [path("planted/<str:token>", fail), *urls.urlpatterns]
handler400, handler403 = urls.handler400, urls.handler403
handler404, handler500 = urls.handler404, urls.handler500
