"""What is kept of oneself: to take along, and to have removed."""

from tempfile import TemporaryFile

from django.contrib import messages
from django.contrib.auth import logout
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.actor import Actor
from apps.accounts.errors import StillBusy
from apps.accounts.services import delete_account, write_account
from apps.core.errors import FieldError, InvalidInput
from apps.ratelimits.decorators import limited
from apps.web.access import members_only
from apps.web.job import asking
from apps.web.settings.forms import TypedAddressForm
from apps.web.settings.profile import is_password_right


@require_safe
@limited("api")
@members_only
def account(request: HttpRequest, _actor: Actor) -> HttpResponse:
    """The page."""
    return render(request, "web/settings/account.html")


def _export(_request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """A ZIP of what is kept of the user."""
    file = TemporaryFile()  # noqa: SIM115  the answer closes it
    write_account(user=actor.user, file=file)
    file.seek(0)
    name = f"docmill-account-{timezone.now():%Y-%m-%d}.zip"
    return FileResponse(file, as_attachment=True, filename=name, content_type="application/zip")


export = require_POST(limited("api")(members_only(_export)))  # type: ignore[arg-type]  # a stream


@asking
@limited("api", within=("auth",))
@members_only
def delete(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Asks for address and password, then deletes the account. Raises TooManyRequests."""
    form = TypedAddressForm(request.POST or None)
    is_good = request.method == "POST" and form.is_valid()
    if is_good and is_password_right(request, actor.user, form):
        try:
            delete_account(user=actor.user, email=form.cleaned_data["typed"])
        except (InvalidInput, StillBusy) as error:
            errors = [FieldError("typed", each.code, each.detail) for each in error.errors]
            form.tell(type(error)(str(error), errors=errors))
        else:
            logout(request)
            messages.success(request, "Your account is deleted.")
            return redirect("web:sign-in")
    return render(request, "web/settings/delete_account.html", {"form": form})
