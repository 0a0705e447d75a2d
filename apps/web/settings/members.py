"""Who is in the organization, and who is invited to it."""

from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.accounts.actor import Actor
from apps.accounts.errors import (
    AlreadyInvited,
    AlreadyMember,
    Forbidden,
    LastOwner,
    PersonalOrganization,
    TooMany,
)
from apps.accounts.given import read_role
from apps.accounts.models import Invitation, Membership
from apps.accounts.reading import invitation_of, member_of
from apps.accounts.roles import Role, given_by, may_give
from apps.accounts.services import change_role, remove_member, revoke_invitation
from apps.core.errors import InvalidInput
from apps.ratelimits.decorators import limited
from apps.web.access import members_only
from apps.web.inviting import send_again, send_invitation
from apps.web.job import asking, given
from apps.web.questions import Question
from apps.web.settings.forms import InviteForm, choices_of
from apps.web.settings.paging import page_of

HERE = "web:settings-members"
REFUSALS = (AlreadyInvited, AlreadyMember, InvalidInput, PersonalOrganization, TooMany)


@dataclass(frozen=True)
class Row:
    """A member, and what the one who looks may do with them; `roles` are (value, label) and empty
    for who may change nothing."""

    membership: Membership
    is_you: bool
    roles: list[tuple[str, str]]
    may_remove: bool

    @classmethod
    def of(cls, actor: Actor, membership: Membership) -> "Row":
        is_you = membership.user_id == actor.user.pk
        is_fixed = actor.organization.personal_of_id is not None
        is_given = may_give(actor.role, Role(membership.role)) and not is_fixed
        roles = given_by(actor.role) if is_given and actor.may("update", "members") else []
        may_remove = is_given and actor.may("delete", "members") and not is_you
        return cls(membership, is_you, choices_of(roles), may_remove)


@asking
@limited("api", within=("auth",))
@members_only
def members(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The page; what is sent to it is an invitation."""
    actor.require("read", "members")
    if request.method != "POST":
        return _page(request, actor, InviteForm(given_by(actor.role)))
    actor.require("create", "members")
    form = InviteForm(given_by(actor.role), request.POST)
    if form.is_valid():
        email, role = form.cleaned_data["email"], Role(form.cleaned_data["role"])
        try:
            found = send_invitation(request=request, actor=actor, email=email, role=role)
        except REFUSALS as error:
            form.tell(error)
        else:
            messages.success(request, f"An invitation is on its way to {found.email}.")
            return redirect(HERE)
    return _page(request, actor, form)


@require_POST
@limited("api")
@members_only
def give_role(request: HttpRequest, actor: Actor, member_id: UUID) -> HttpResponse:
    """Raises NotFound, Forbidden or InvalidInput."""
    membership = member_of(actor, member_id)
    actor.require("update", "members")
    role = read_role(given(request, "role"))
    assert role is not None  # it is required
    try:
        changed = change_role(actor=actor, membership=membership, role=role)
    except (LastOwner, PersonalOrganization) as error:
        messages.error(request, str(error))
        return redirect(HERE)
    messages.success(request, f"{_name(changed)} is {_a(changed.role)} now.")
    return redirect(HERE)


@asking
@limited("api")
@members_only
def remove(request: HttpRequest, actor: Actor, member_id: UUID) -> HttpResponse:
    """Asks, then takes somebody out, or oneself. Raises NotFound or Forbidden."""
    membership = member_of(actor, member_id)
    is_you = membership.user_id == actor.user.pk
    if not is_you:
        actor.require("delete", "members")
        if not may_give(actor.role, Role(membership.role)):
            raise Forbidden(f"Your role here, {actor.role}, cannot take out an owner.")
    if request.method != "POST":
        return render(
            request, "web/settings/confirm.html", {"question": _question(membership, actor)}
        )
    try:
        remove_member(actor=actor, membership=membership)
    except (LastOwner, PersonalOrganization) as error:
        messages.error(request, str(error))
        return redirect(HERE)
    if is_you:
        messages.success(request, f"You are not a member of {actor.organization.name} any more.")
        return redirect("web:dashboard")
    messages.success(request, f"{_name(membership)} is not a member any more.")
    return redirect(HERE)


@require_POST
@limited("api", within=("auth",))
@members_only
def resend(request: HttpRequest, actor: Actor, invitation_id: UUID) -> HttpResponse:
    """Raises NotFound, Forbidden or TooManyRequests."""
    invitation = invitation_of(actor, invitation_id)
    sent = send_again(request=request, actor=actor, invitation=invitation)
    messages.success(request, f"The invitation is on its way to {sent.email} again.")
    return redirect(HERE)


@asking
@limited("api")
@members_only
def revoke(request: HttpRequest, actor: Actor, invitation_id: UUID) -> HttpResponse:
    """Asks, then revokes. Raises NotFound or Forbidden."""
    invitation = invitation_of(actor, invitation_id)
    actor.require("delete", "members")
    if request.method != "POST":
        question = Question(
            name="revoke",
            heading="Revoke this invitation?",
            text=f"The link that was mailed to {invitation.email} leads nowhere from then on.",
            yes="Revoke the invitation",
            no="Keep it",
            url=reverse("web:settings-members-uninvite", args=[invitation.pk]),
            back=reverse(HERE),
            is_danger=True,
        )
        return render(request, "web/settings/confirm.html", {"question": question})
    revoke_invitation(actor=actor, invitation=invitation)
    messages.success(request, f"The invitation to {invitation.email} is revoked.")
    return redirect(HERE)


def _page(request: HttpRequest, actor: Actor, form: InviteForm) -> HttpResponse:
    rows = Membership.objects.in_organization(actor.organization).select_related("user")
    page = page_of(request, rows.order_by("user__email"))
    invitations = Invitation.objects.in_organization(actor.organization)
    is_personal = actor.organization.personal_of_id is not None
    context = {
        "page": page,
        "rows": [Row.of(actor, each) for each in page],
        "invitations": [
            (each, may_give(actor.role, Role(each.role)))
            for each in invitations.select_related("invited_by").order_by("-pk")
        ],
        "form": form if actor.may("create", "members") and not is_personal else None,
        "is_personal": is_personal,
    }
    return render(request, "web/settings/members.html", context)


def _question(membership: Membership, actor: Actor) -> Question:
    is_you = membership.user_id == actor.user.pk
    name = "you" if is_you else _name(membership)
    whole = f"What {name} made here passes to the owner who joined first"
    keys = f"{'your' if is_you else 'their'} API keys here stop working"
    return Question(
        name="remove",
        heading=f"Leave {actor.organization.name}?" if is_you else f"Remove {name}?",
        text=f"{whole}, and {keys}. Somebody has to invite {'you' if is_you else 'them'} to come "
        "back.",
        yes="Leave the organization" if is_you else "Remove the member",
        no="Stay" if is_you else "Keep them",
        url=reverse("web:settings-members-remove", args=[membership.public_id]),
        back=reverse(HERE),
        is_danger=True,
    )


def _name(membership: Membership) -> str:
    return membership.user.name or membership.user.email


def _a(role: str) -> str:
    return f"{'an' if role[0] in 'ao' else 'a'} {role}"
