"""Who may open a page: members; everybody else is led to the sign-in."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.accounts.actor import Actor
from apps.accounts.errors import Forbidden

P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, Actor, P], HttpResponse]


def members_only(view: Page[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Calls `view` with the Actor of the request.

    Who is not signed in is sent to the sign-in page and comes back; a fragment that a page asks
    for in the background answers 401 instead, and the page says so. A member of nothing is told.
    """

    def answer(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            if is_fragment(request):
                return HttpResponse("Signed out", status=401, content_type="text/plain")
            return redirect_to_login(_here(request))
        try:
            actor = Actor.of_request(request)
        except Forbidden:
            return render(request, "web/no_organization.html", status=403)
        return view(request, actor, *args, **kwargs)

    update_wrapper(answer, view)
    return answer


def _here(request: HttpRequest) -> str:
    """Where to come back to: the page, or the start where the request was to change something."""
    return request.get_full_path() if request.method in ("GET", "HEAD") else "/"


def is_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks on behalf of a page that is open, rather than a person for a page."""
    htmx: Any = getattr(request, "htmx", None)
    return bool(htmx)
