"""Signing in and out, the organization one works in, and how one likes the pages."""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.auth import logout
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.forms import CharField, EmailField, EmailInput, PasswordInput
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from apps.accounts.actor import SESSION_KEY, Actor
from apps.accounts.models import Organization, User
from apps.accounts.services import begin_session
from apps.core.errors import NotFound
from apps.ratelimits.decorators import limited
from apps.ratelimits.guard import guarded
from apps.ratelimits.requests import give_back
from apps.web.access import members_only
from apps.web.context import SIDEBARS, THEMES
from apps.web.tries import count_try, remember_device

PREFERENCES = {"theme": THEMES, "sidebar": SIDEBARS}
LAST_ORGANIZATION = "organization"
"""The cookie with the id of the organization that the browser's user switched to last."""
A_YEAR = 365 * 24 * 3600
PASSWORD_MAX_LENGTH = 1024
"""Characters of a password that are read: hashing megabytes would keep the server busy."""


class SignInForm(AuthenticationForm):
    """Django's, asking for an e-mail address. It tells nobody which addresses have an account."""

    username = EmailField(
        label="E-mail address",
        error_messages={"required": "Enter your e-mail address."},
        widget=EmailInput(attrs={"autofocus": True, "autocomplete": "username"}),
    )
    password = CharField(
        label="Password",
        strip=False,
        max_length=PASSWORD_MAX_LENGTH,
        error_messages={
            "required": "Enter your password.",
            "max_length": f"A password has at most {PASSWORD_MAX_LENGTH} characters.",
        },
        widget=PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    error_messages = {
        "invalid_login": "This e-mail address and password do not belong together.",
    }

    def clean(self) -> Any:
        """Counts the try before the password is looked at. Raises TooManyRequests."""
        email = self.cleaned_data.get("username")
        if email and self.cleaned_data.get("password"):
            assert self.request is not None
            count_try(self.request, email)
        return super().clean()


@method_decorator(guarded("sign-in"), "dispatch")
class SignIn(LoginView):
    """Django's, which takes a new session key at the sign-in and leads to addresses of this site
    only. A try that fails counts."""

    limiters = ()
    counted_within = ("auth",)
    form_class = SignInForm
    template_name = "web/sign_in.html"
    redirect_authenticated_user = True

    def get_redirect_url(self) -> str:  # type: ignore[override]  # the stubs' Django is a later one
        target = super().get_redirect_url()
        # Who is signed in already would be led from here to here.
        return "" if urlsplit(target).path == self.request.path else target

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        if form.non_field_errors():  # of which no field knows by itself
            told: dict[str, Any] = {"aria-invalid": "true", "aria-describedby": "sign-in-problem"}
            for field in form.fields.values():
                field.widget.attrs |= told
        return super().form_invalid(form)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        give_back(self.request, "auth")
        response = super().form_valid(form)
        note_sign_in(self.request)
        remember_device(self.request, response, form.cleaned_data["username"])
        # Back to the page one was on: it may be of another organization than one's own. An id that
        # is not one's own, as on a shared computer, leads nowhere: see Actor.of_request.
        last = self.request.COOKIES.get(LAST_ORGANIZATION)
        if last:
            self.request.session[SESSION_KEY] = last
        return response


def note_sign_in(request: HttpRequest) -> None:
    """Remembers the session that has just begun, for its person to see and end."""
    assert isinstance(request.user, User)
    request.session.save()
    key = request.session.session_key
    assert key is not None
    agent = request.headers.get("User-Agent", "")
    begin_session(user=request.user, session_key=key, agent=agent)


def change_password(request: HttpRequest) -> HttpResponse:
    """The admin's page for one's own password, which asks for the old one: a try that fails counts
    like one at the sign-in, or a session that somebody left open would be a place to guess it."""
    if request.method == "POST" and admin.site.has_permission(request):
        count_try(request, request.user.get_username())
    answer: HttpResponse = admin.site.admin_view(admin.site.password_change)(request)
    if answer.status_code == HTTPStatus.FOUND:
        give_back(request, "auth")
    return answer


@require_POST
@limited("api")
def sign_out(request: HttpRequest) -> HttpResponse:
    """Ends the session."""
    logout(request)
    messages.info(request, "You are signed out.")
    return redirect("web:sign-in")


@require_POST
@limited("api")
@members_only
def switch_organization(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Works in `organization` (an id) from now on. Raises NotFound when the user is none of its
    members."""
    try:
        wanted = UUID(request.POST.get("organization", ""))
        organization = Organization.objects.visible_to(actor.user).get(pk=wanted)
    except (ValueError, Organization.DoesNotExist):
        detail = "There is no such organization, or you are not a member of it."
        raise NotFound(detail) from None
    return work_in(request, organization, redirect("web:dashboard"))


def work_in(
    request: HttpRequest, organization: Organization, response: HttpResponse
) -> HttpResponse:
    """`response`, after which the session's user, a member of it, works in `organization`."""
    request.session[SESSION_KEY] = str(organization.pk)
    messages.success(request, f"You now work in {organization.name}.")
    _keep(request, response, LAST_ORGANIZATION, str(organization.pk), httponly=True)
    return response


@require_POST
@limited("api")
def set_preferences(request: HttpRequest) -> HttpResponse:
    """Keeps `theme` or `sidebar` in a cookie and goes back to `next`. Anything else is ignored."""
    response = redirect(_of_this_site(request, request.POST.get("next", "")))
    for name, known in PREFERENCES.items():
        value = request.POST.get(name, "")
        if value in known:
            _keep(request, response, name, value)
    return response


def _keep(
    request: HttpRequest, response: HttpResponse, name: str, value: str, *, httponly: bool = False
) -> None:
    """Sets a cookie that outlives the session."""
    response.set_cookie(
        name,
        value,
        max_age=A_YEAR,
        samesite="Lax",
        secure=request.is_secure(),
        httponly=httponly,
    )


def _of_this_site(request: HttpRequest, target: str) -> str:
    """`target` if it is an address of this site, else the start page."""
    is_ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure())
    return target if is_ours else "/"
