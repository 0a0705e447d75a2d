"""Signing up: an address, a mail with a link, and behind it a name and a password.

Only where ENABLE_SIGNUP is on; elsewhere there is nothing at these addresses. Nobody learns from
them who has an account: they say the same to everybody, and the mail says the rest.
"""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.core.exceptions import ValidationError
from django.forms import CharField, EmailField, EmailInput, Form, PasswordInput, TextInput
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views.generic import FormView

from apps.accounts.errors import EmailTaken
from apps.accounts.names import NAME_MAX_LENGTH
from apps.accounts.services import sign_up
from apps.core.errors import InvalidInput, NotFound
from apps.ratelimits.guard import guarded
from apps.web.mails import SIGN_UP_KIND, ask_for_mail, invited
from apps.web.sessions import PASSWORD_MAX_LENGTH, note_sign_in
from apps.web.tries import count_bad_link, count_mail, remember_device


def new_password_field(**more: Any) -> CharField:
    return CharField(
        label="Password",
        strip=False,
        max_length=PASSWORD_MAX_LENGTH,
        help_text="At least 12 characters; a few words that only you would put together.",
        error_messages={"required": "Choose a password."},
        widget=PasswordInput(attrs={"autocomplete": "new-password", **more}),
    )


class AddressForm(Form):
    email = EmailField(
        label="E-mail address",
        max_length=254,
        error_messages={"required": "Enter your e-mail address."},
        widget=EmailInput(attrs={"autofocus": True, "autocomplete": "username"}),
    )


class AccountForm(Form):
    """What a service refuses is told beside the field that it is about."""

    def tell(self, error: InvalidInput) -> None:
        for each in error.errors:
            field = each.field if each.field in self.fields else None
            self.add_error(field, ValidationError(each.detail, each.code))


class JoinForm(AccountForm):
    name = CharField(
        label="Your name",
        required=False,
        max_length=NAME_MAX_LENGTH,
        widget=TextInput(attrs={"autofocus": True, "autocomplete": "name"}),
    )
    password = new_password_field()


class WhereOpen(FormView):  # type: ignore[type-arg]  # generic for the type checker only
    """A page that is not there while nobody may sign up."""

    limiters = ()
    counted_within = ("auth",)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.ENABLE_SIGNUP:
            raise NotFound("There is nothing at this address.")
        if request.user.is_authenticated:
            return redirect("web:dashboard")
        return super().dispatch(request, *args, **kwargs)


@method_decorator(guarded("sign-up"), "dispatch")
class SignUp(WhereOpen):
    """Asks for an address. Each mail counts; the same is told whoever's the address is."""

    form_class = AddressForm
    template_name = "web/sign_up.html"

    def form_valid(self, form: Form) -> HttpResponse:
        email = form.cleaned_data["email"]
        count_mail(self.request, email, "sign-up")
        ask_for_mail(SIGN_UP_KIND, email)
        messages.info(self.request, f"A mail is on its way to {email}. The link in it goes on.")
        return redirect("web:sign-in")


@method_decorator(guarded("sign-up"), "dispatch")
class Join(WhereOpen):
    """Makes the account that the mailed link is for, and signs in."""

    form_class = JoinForm
    template_name = "web/join.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.email = invited(kwargs["token"])
        if self.email is None and settings.ENABLE_SIGNUP:
            count_bad_link(request)
            messages.warning(request, "That link is too old, or not whole. Ask for another mail.")
            return redirect("web:sign-up")
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs, email=self.email)

    def form_valid(self, form: JoinForm) -> HttpResponse:
        given = form.cleaned_data
        assert self.email is not None
        try:
            user = sign_up(email=self.email, password=given["password"], name=given["name"])
        except EmailTaken:
            messages.info(self.request, "You have signed up before. Sign in with that password.")
            return redirect("web:sign-in")
        except InvalidInput as error:
            form.tell(error)
            return self.form_invalid(form)
        login(self.request, user)
        note_sign_in(self.request)
        response = redirect("web:dashboard")
        remember_device(self.request, response, user.email)
        return response
