"""A new password for who forgot theirs: an address, a mail with a link, and behind it a form."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.views import INTERNAL_RESET_SESSION_TOKEN, PasswordResetConfirmView
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views.generic import FormView

from apps.accounts.models import User
from apps.accounts.services import set_password
from apps.core.errors import InvalidInput
from apps.ratelimits.guard import guarded
from apps.web.joining import AccountForm, AddressForm, new_password_field
from apps.web.mails import RESET_KIND, ask_for_mail
from apps.web.tries import count_bad_link, count_mail, remember_device


class NewPasswordForm(AccountForm):
    password = new_password_field(autofocus=True)

    def __init__(self, user: User | None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user


@method_decorator(guarded("reset"), "dispatch")
class Reset(FormView):  # type: ignore[type-arg]  # generic for the type checker only
    """Asks for an address. Each mail counts; the same is told whoever's the address is."""

    limiters = ()
    counted_within = ("auth",)
    form_class = AddressForm
    template_name = "web/reset.html"

    def form_valid(self, form: Form) -> HttpResponse:
        email = form.cleaned_data["email"]
        count_mail(self.request, email, "reset")
        ask_for_mail(RESET_KIND, email)
        told = f"If {email} has an account here, a mail with a link is on its way to it."
        messages.info(self.request, told)
        return redirect("web:sign-in")


@method_decorator(guarded("reset"), "dispatch")
class NewPassword(PasswordResetConfirmView):
    """Django's, which takes the token out of the address before the page is drawn. A new password
    ends every session of the account, and spends the link."""

    limiters = ()
    counted_within = ("auth",)
    form_class: Any = NewPasswordForm
    template_name = "web/new_password.html"

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        if self.validlink:
            return super().render_to_response(context, **kwargs)
        count_bad_link(self.request)
        messages.warning(self.request, "That link is too old, or was used. Ask for another mail.")
        return redirect("web:reset")

    def form_valid(self, form: Any) -> HttpResponse:
        assert isinstance(self.user, User)
        try:
            set_password(user=self.user, password=form.cleaned_data["password"])
        except InvalidInput as error:
            form.tell(error)
            return self.form_invalid(form)
        del self.request.session[INTERNAL_RESET_SESSION_TOKEN]
        messages.success(self.request, "Your password is changed. Sign in with it.")
        response = redirect("web:sign-in")
        remember_device(self.request, response, self.user.email)
        return response
