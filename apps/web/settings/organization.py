"""The organization's name, another one, and its end."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from apps.accounts.actor import SESSION_KEY, Actor
from apps.accounts.errors import PersonalOrganization, StillBusy, TooMany
from apps.accounts.services import close_organization, found_organization, rename_organization
from apps.core.errors import FieldError, InvalidInput
from apps.ratelimits.decorators import limited
from apps.web.access import members_only
from apps.web.job import asking
from apps.web.settings.forms import OrganizationForm, TypedNameForm

HERE = "web:settings-organization"


@asking
@limited("api")
@members_only
def organization(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The page; what is sent to it is another name. Raises Forbidden."""
    actor.require("read", "organization")
    form = OrganizationForm(request.POST or None, initial={"label": actor.organization.name})
    if request.method == "POST":
        actor.require("update", "organization")
        if form.is_valid():
            try:
                renamed = rename_organization(actor=actor, name=form.cleaned_data["label"])
            except InvalidInput as error:
                form.add_error("label", str(error))
            else:
                messages.success(request, f"It is called {renamed.name} now.")
                return redirect(HERE)
    context = {
        "form": form if actor.may("update", "organization") else None,
        "is_personal": actor.organization.personal_of_id is not None,
        "may_delete": actor.may("delete", "organization"),
        "role": actor.role,
    }
    return render(request, "web/settings/organization.html", context)


@asking
@limited("api")
@members_only
def new_organization(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Asks for a name, makes another organization and switches to it."""
    form = OrganizationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = found_organization(user=actor.user, name=form.cleaned_data["label"])
        except InvalidInput as error:
            form.add_error("label", str(error))
        except TooMany as error:
            form.tell(error)
        else:
            request.session[SESSION_KEY] = str(made.pk)
            messages.success(request, f"You now work in {made.name}.")
            return redirect("web:settings-members")
    return render(request, "web/settings/new_organization.html", {"form": form})


@asking
@limited("api")
@members_only
def delete_organization(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Asks for the name, then deletes. Raises Forbidden."""
    actor.require("delete", "organization")
    form = TypedNameForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        name = actor.organization.name
        try:
            close_organization(actor=actor, name=form.cleaned_data["typed"])
        except (InvalidInput, StillBusy, PersonalOrganization) as error:
            form.tell(_about_typed(error))
        else:
            request.session.pop(SESSION_KEY, None)
            messages.success(request, f"{name} is deleted. What was in it is being removed.")
            return redirect("web:dashboard")
    return render(request, "web/settings/delete_organization.html", {"form": form})


def _about_typed(
    error: InvalidInput | StillBusy | PersonalOrganization,
) -> InvalidInput | StillBusy | PersonalOrganization:
    """The error, where it is about what was typed, beside the field of the page."""
    return type(error)(
        str(error), errors=[FieldError("typed", each.code, each.detail) for each in error.errors]
    )
