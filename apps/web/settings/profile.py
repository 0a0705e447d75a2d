"""One's own name, address and password."""

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.generic import View

from apps.accounts.actor import Actor
from apps.accounts.errors import EmailTaken
from apps.accounts.models import User
from apps.accounts.services import change_email, rename_user, set_password, valid_address
from apps.core.errors import FieldError, InvalidInput
from apps.ratelimits.decorators import limited
from apps.ratelimits.guard import guarded
from apps.ratelimits.requests import give_back
from apps.web.access import members_only
from apps.web.job import asking
from apps.web.mails import MOVED_KIND, address_by, ask_for_address, ask_for_mail
from apps.web.settings.forms import (
    AddressForm,
    NewPasswordForm,
    OwnNameForm,
    PasswordForm,
    SettingsForm,
)
from apps.web.tries import count_bad_link, count_mail, count_try, remember_device

Change = Callable[[HttpRequest, User, SettingsForm], str]
"""Makes a change that a form asks for; what is told of it, "" when the form tells what is wrong."""


@asking
@limited("api", within=("auth",))
@members_only
def profile(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The page; what is sent names its form in `change`."""
    asked = request.POST.get("change", "") if request.method == "POST" else ""
    forms = {name: _form(request, actor.user, name, asked) for name in CHANGES}
    if asked in CHANGES:
        form = forms[asked]
        told = CHANGES[asked][1](request, actor.user, form) if form.is_valid() else ""
        if told:
            messages.success(request, told)
            response = redirect("web:settings-profile")
            if asked == "password":
                remember_device(request, response, actor.user.email)
            return response
    # A refused address may be on the user by now, who is drawn around the form.
    return render(request, "web/settings/profile.html", {"forms": forms})


def is_password_right(request: HttpRequest, user: User, form: PasswordForm) -> bool:
    """Whether the form's password is the user's. A try that fails counts like one at the sign-in,
    or a session that somebody left open would be a place to guess it. Raises TooManyRequests."""
    count_try(request, user.email)
    if user.check_password(form.cleaned_data["password"]):
        give_back(request, "auth")
        return True
    form.refuse_password()
    return False


def _form(request: HttpRequest, user: User, name: str, asked: str) -> SettingsForm:
    kind = CHANGES[name][0]
    return kind(request.POST if name == asked else None, initial={"own_name": user.name})


def _change_name(_request: HttpRequest, user: User, form: SettingsForm) -> str:
    try:
        rename_user(user=user, name=form.cleaned_data["own_name"])
    except InvalidInput as error:
        form.add_error("own_name", str(error))
        return ""
    return "Your name is changed."


def _change_address(request: HttpRequest, user: User, form: SettingsForm) -> str:
    assert isinstance(form, PasswordForm)
    if not is_password_right(request, user, form):
        return ""
    try:
        email = valid_address(form.cleaned_data["email"])
        if email == user.email:
            detail = "That is your address already."
            raise InvalidInput(detail, errors=[FieldError("email", "same", detail)])
    except InvalidInput as error:
        form.tell(error)
        return ""
    count_mail(request, email, "address")
    ask_for_address(user, email)
    return f"A mail is on its way to {email}. The link in it makes that your address."


def _change_password(request: HttpRequest, user: User, form: SettingsForm) -> str:
    assert isinstance(form, PasswordForm)
    if not is_password_right(request, user, form):
        return ""
    try:
        set_password(user=user, password=form.cleaned_data["new_password"])
    except InvalidInput as error:
        for each in error.errors:
            form.add_error("new_password", each.detail)
        return ""
    update_session_auth_hash(request, user)
    return "Your password is changed. You are signed out everywhere else."


CHANGES: dict[str, tuple[type[SettingsForm], Change]] = {
    "name": (OwnNameForm, _change_name),
    "address": (AddressForm, _change_address),
    "password": (NewPasswordForm, _change_password),
}


@method_decorator(guarded("address"), "dispatch")
class NewAddress(View):
    """Where the mailed link leads: asks, and changes the address. It is the mail that shows that
    it is theirs, so nobody needs to be signed in."""

    limiters = ()
    counted_within = ("auth",)

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        found = address_by(token)
        if found is None:
            return self._refused(request)
        context = {"account": found[0], "email": found[1]}
        return render(request, "web/settings/new_address.html", context)

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        found = address_by(token)
        if found is None:
            return self._refused(request)
        user, email = found
        before = user.email
        try:
            change_email(user=user, email=email)
        except EmailTaken as error:
            messages.error(request, str(error))
            return redirect("web:sign-in")
        ask_for_mail(MOVED_KIND, before)
        messages.success(request, f"You sign in with {email} from now on.")
        is_in = request.user.is_authenticated
        response = redirect("web:settings-profile" if is_in else "web:sign-in")
        remember_device(request, response, email)
        return response

    def _refused(self, request: HttpRequest) -> HttpResponse:
        count_bad_link(request)
        messages.warning(request, "That link is too old, or was used. Ask for another mail.")
        is_in = request.user.is_authenticated
        return redirect("web:settings-profile" if is_in else "web:sign-in")
