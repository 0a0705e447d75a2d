"""Open invitations in the admin."""

# Django's admin and form classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from django.contrib import admin
from django.utils.safestring import SafeString

from apps.accounts.admin.organizations import OrganizationFilter
from apps.accounts.models import Invitation, User
from apps.accounts.roles import Role
from apps.accounts.services import end_invitation
from apps.core.admin import LinkedFilter, link_to, one_of
from apps.core.admin_actions import ServiceAction, ServiceAdmin


def _revoke(user: User, invitation: Invitation) -> None:
    end_invitation(by=user, invitation=invitation)


@admin.register(Invitation)
class InvitationAdmin(ServiceAdmin):
    """Members invite; here it is seen who may come, and revoked. Accepted ones are gone."""

    list_display = (
        "email",
        "organization_link",
        "role",
        "sender",
        "created_at",
        "sent_at",
        "expires_at",
    )
    fields = ("id", *list_display)
    list_select_related = ("invited_by", "organization")
    list_filter = (one_of("role", tuple(Role)), OrganizationFilter, ("invited_by", LinkedFilter))
    ordering = ("-id",)
    sortable_by = ("created_at", "expires_at")
    search_fields = ("email", "organization__name")
    id_lookups = ("pk", "organization")
    email_lookups = ("email", "invited_by__email")
    search_help_text = (
        "An invitation's id or its start, an organization's id or a part of its name, or the "
        "address of who is invited or who invited."
    )
    service_actions = (
        ServiceAction(
            name="revoke",
            label="Revoke",
            done="Revoked",
            effect="The links that were mailed lead nowhere from then on.",
            permission="accounts.change_invitation",
            perform=_revoke,
            fits=lambda _: True,
            deletes=True,
        ),
    )

    @admin.display(description="invited by")
    def sender(self, invitation: Invitation) -> SafeString | str:
        return link_to(invitation.invited_by)

    @admin.display(description="organization")
    def organization_link(self, invitation: Invitation) -> SafeString | str:
        return link_to(invitation.organization)
