"""Accounts in the stock admin."""

from apps.accounts.admin.keys import ApiKeyAdmin
from apps.accounts.admin.organizations import MembershipAdmin, OrganizationAdmin, OrganizationFilter
from apps.accounts.admin.signing_in import sign_in
from apps.accounts.admin.users import GroupAdmin, UserAdmin

__all__ = [
    "ApiKeyAdmin",
    "GroupAdmin",
    "MembershipAdmin",
    "OrganizationAdmin",
    "OrganizationFilter",
    "UserAdmin",
    "sign_in",
]
