"""Who may open a page: members; everybody else is led to the sign-in."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlsplit

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRefresh

from apps.accounts.actor import Actor
from apps.accounts.errors import Forbidden

P = ParamSpec("P")
SAFE = ("GET", "HEAD")
Page = Callable[Concatenate[HttpRequest, Actor, P], HttpResponse]


def members_only(view: Page[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Calls `view` with the Actor of the request.

    Who is not signed in is sent to the sign-in page and comes back, and is told so where something
    was to be changed; a fragment that a page asks for in the background answers 401 instead, and
    the page says so. A member of nothing is told. A page that was drawn for an organization that
    its reader has left since is drawn anew, rather than filled with what is of another.
    """

    def answer(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            if is_fragment(request):
                return HttpResponse("Signed out", status=401, content_type="text/plain")
            if request.method not in SAFE:
                told = "You were signed out before this was done. Nothing was changed."
                messages.warning(request, told)
            return redirect_to_login(_here(request))
        try:
            actor = Actor.of_request(request)
        except Forbidden:
            return render(request, "web/no_organization.html", status=403)
        if is_fragment(request) and _is_of_another(request, actor):
            return HttpResponseClientRefresh()
        return view(request, actor, *args, **kwargs)

    update_wrapper(answer, view)
    return answer


def _here(request: HttpRequest) -> str:
    """Where to come back to: the page, or that from which something was to be changed."""
    if request.method in SAFE:
        return request.get_full_path()
    page = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(page, {request.get_host()}, request.is_secure()):
        return "/"
    return urlsplit(page)._replace(scheme="", netloc="", fragment="").geturl() or "/"


def _is_of_another(request: HttpRequest, actor: Actor) -> bool:
    """Whether the open page says that it is of another organization than the actor's."""
    own = str(actor.organization.pk)
    return request.headers.get("X-Organization", own) != own


def is_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks on behalf of a page that is open, rather than a person for a page."""
    htmx: Any = getattr(request, "htmx", None)
    return bool(htmx)
