"""What the pages of the browsable API offer to send, by the caller's role."""

from django import forms
from rest_framework.request import Request

from apps.accounts.actor import Actor
from apps.accounts.models import ApiKey, Invitation, Membership
from apps.accounts.names import NAME_MAX_LENGTH
from apps.accounts.roles import Role, given_by, may_give, up_to
from apps.core.browsable import Offer


class NameForm(forms.Form):
    name = forms.CharField(max_length=NAME_MAX_LENGTH, help_text="1 to 200 characters.")


class RoleForm(forms.Form):
    role = forms.ChoiceField(help_text="What they may do from then on.")

    def __init__(self, roles: list[Role]) -> None:
        super().__init__()
        field = self.fields["role"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(str(role), str(role)) for role in roles]
        field.initial = str(Role.CONTRIBUTOR)


class InviteForm(RoleForm):
    email = forms.EmailField(max_length=254, help_text="Where the link is mailed.")
    field_order = ("email", "role")


class KeyForm(RoleForm):
    name = forms.CharField(max_length=NAME_MAX_LENGTH, help_text="What it is for.")
    expires_at = forms.CharField(
        required=False, help_text="Such as 2030-01-31T09:00:00Z; it never expires without."
    )
    field_order = ("name", "role", "expires_at")


def of_organization(request: Request) -> list[Offer]:
    actor = Actor.of_request(request)
    if not actor.may("update", "organization"):
        return []
    return [Offer("Rename the organization", "PATCH", form=NameForm())]


def of_member(request: Request, membership: Membership) -> list[Offer]:
    actor = Actor.of_request(request)
    offered = []
    is_above = may_give(actor.role, Role(membership.role))
    if actor.may("update", "members") and is_above:
        form = RoleForm(given_by(actor.role))
        form.initial["role"] = str(membership.role)
        offered.append(Offer("Change the role", "PATCH", form=form))
    is_you = membership.user_id == actor.user.pk
    if is_you or (actor.may("delete", "members") and is_above):
        label = "Leave the organization" if is_you else "Remove the member"
        warning = "What they made passes to an owner, and their keys here stop working."
        offered.append(Offer(label, "DELETE", warning=warning))
    return offered


def of_invitations(request: Request) -> list[Offer]:
    actor = Actor.of_request(request)
    if not actor.may("create", "members"):
        return []
    return [Offer("Invite", form=InviteForm(given_by(actor.role)))]


def of_invitation(request: Request, invitation: Invitation) -> list[Offer]:
    actor = Actor.of_request(request)
    if not (actor.may("delete", "members") and may_give(actor.role, Role(invitation.role))):
        return []
    return [Offer("Revoke the invitation", "DELETE", warning="Its link leads nowhere then.")]


def of_keys(request: Request) -> list[Offer]:
    actor = Actor.of_request(request)
    if actor.key is not None or not actor.may("create", "keys"):
        return []
    return [Offer("Make a key", form=KeyForm(up_to(actor.role)))]


def of_key(request: Request, key: ApiKey) -> list[Offer]:
    actor = Actor.of_request(request)
    if key.revoked_at or not actor.may("delete", "keys", created_by_id=key.user_id):
        return []
    warning = "Programs that use it are refused from their next request on."
    return [Offer("Revoke the key", "DELETE", warning=warning)]
