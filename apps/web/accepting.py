"""Where the link of an invitation leads: its reader accepts with their account, or makes one, also
where nobody may sign up."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.generic import View

from apps.accounts.actor import SESSION_KEY
from apps.accounts.errors import EmailTaken, Forbidden
from apps.accounts.models import Invitation, User
from apps.accounts.services import accept_invitation, invitation_by, join_by_invitation
from apps.core.errors import InvalidInput, NotFound
from apps.ratelimits.guard import guarded
from apps.web.joining import JoinForm
from apps.web.sessions import note_sign_in
from apps.web.tries import count_bad_link, remember_device


@method_decorator(guarded("invitation"), "dispatch")
class Accept(View):
    """The invitation's address decides: it is accepted by who signs in with it."""

    limiters = ()
    counted_within = ("auth",)
    invitation: Invitation

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        found = invitation_by(kwargs["token"])
        if found is None:
            return self._not_good(request)
        self.invitation = found
        try:
            return super().dispatch(request, *args, **kwargs)
        except NotFound:  # meanwhile
            return self._not_good(request)

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        return self._page(request, JoinForm())

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        if request.POST.get("change") == "sign-out":
            logout(request)
            return redirect("web:accept", token)
        if isinstance(request.user, User):
            return self._accept(request, request.user)
        form = JoinForm(request.POST)
        if form.is_valid():
            try:
                return self._join(request, form)
            except InvalidInput as error:
                form.tell(error)
            except EmailTaken:
                return redirect("web:accept", token)  # which asks them to sign in
        return self._page(request, form)

    def _accept(self, request: HttpRequest, user: User) -> HttpResponse:
        try:
            accept_invitation(user=user, invitation=self.invitation)
        except Forbidden as error:
            messages.error(request, str(error))
            return redirect("web:accept", self.kwargs["token"])
        return self._in(request)

    def _join(self, request: HttpRequest, form: JoinForm) -> HttpResponse:
        given = form.cleaned_data
        user = join_by_invitation(
            invitation=self.invitation, password=given["password"], name=given["name"]
        )
        login(request, user)
        note_sign_in(request)
        response = self._in(request)
        remember_device(request, response, user.email)
        return response

    def _in(self, request: HttpRequest) -> HttpResponse:
        request.session[SESSION_KEY] = str(self.invitation.organization_id)
        told = f"You are a member of {self.invitation.organization.name} now, and work in it."
        messages.success(request, told)
        return redirect("web:dashboard")

    def _page(self, request: HttpRequest, form: JoinForm) -> HttpResponse:
        email = self.invitation.email
        is_in = request.user.is_authenticated
        context = {
            "invitation": self.invitation,
            "is_theirs": is_in and getattr(request.user, "email", "") == email,
            # Only who reads the mails of the address gets to see this.
            "is_known": User.objects.filter(email=email).exists(),
            "form": form,
        }
        return render(request, "web/accept.html", context)

    def _not_good(self, request: HttpRequest) -> HttpResponse:
        count_bad_link(request)
        told = "That invitation is not good any more. Ask who sent it for another one."
        messages.warning(request, told)
        return redirect("web:dashboard" if request.user.is_authenticated else "web:sign-in")
