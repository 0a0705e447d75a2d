"""Accounts in the stock admin."""

from apps.accounts.admin.invitations import InvitationAdmin
from apps.accounts.admin.keys import ApiKeyAdmin
from apps.accounts.admin.organizations import MembershipAdmin, OrganizationAdmin, OrganizationFilter
from apps.accounts.admin.signing_in import sign_in
from apps.accounts.admin.users import GroupAdmin, UserAdmin

__all__ = [
    "ApiKeyAdmin",
    "GroupAdmin",
    "InvitationAdmin",
    "MembershipAdmin",
    "OrganizationAdmin",
    "OrganizationFilter",
    "UserAdmin",
    "sign_in",
]
