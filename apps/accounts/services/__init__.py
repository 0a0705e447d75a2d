"""Everything that makes or changes accounts."""

from apps.accounts.services.closing import close_organization, delete_account, remove_closed
from apps.accounts.services.exporting import write_account
from apps.accounts.services.invitations import (
    accept_invitation,
    end_invitation,
    invitation_by,
    invite,
    join_by_invitation,
    renew_invitation,
    revoke_invitation,
    token_of,
)
from apps.accounts.services.keys import give_key, make_key, revoke_key
from apps.accounts.services.making import (
    COMMAND_LINE,
    add_member,
    create_api_key,
    create_organization,
    create_user,
    digest_of,
    register_user,
    revoke_api_key,
    set_password,
    sign_up,
)
from apps.accounts.services.members import change_role, leave, remove_member
from apps.accounts.services.organizations import found_organization, rename_organization
from apps.accounts.services.people import change_email, rename_user, valid_address
from apps.accounts.services.sessions import (
    begin_session,
    end_other_sessions,
    end_sessions,
    know_session,
    sessions_of,
)

__all__ = [
    "COMMAND_LINE",
    "accept_invitation",
    "add_member",
    "begin_session",
    "change_email",
    "change_role",
    "close_organization",
    "create_api_key",
    "create_organization",
    "create_user",
    "delete_account",
    "digest_of",
    "end_invitation",
    "end_other_sessions",
    "end_sessions",
    "found_organization",
    "give_key",
    "invitation_by",
    "invite",
    "join_by_invitation",
    "know_session",
    "leave",
    "make_key",
    "register_user",
    "remove_closed",
    "remove_member",
    "rename_organization",
    "rename_user",
    "renew_invitation",
    "revoke_api_key",
    "revoke_invitation",
    "revoke_key",
    "sessions_of",
    "set_password",
    "sign_up",
    "token_of",
    "valid_address",
    "write_account",
]
