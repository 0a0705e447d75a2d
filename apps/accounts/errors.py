"""What can be wrong with who somebody is or what they want."""

from http import HTTPStatus

from apps.core.errors import DocmillError


class Forbidden(DocmillError):
    """The caller sees the thing, but their role does not let them do this to it."""

    code = "auth.forbidden"
    status = HTTPStatus.FORBIDDEN
    title = "You may not do this"


class EmailTaken(DocmillError):
    """Another user signs in with this e-mail address, in whatever case it is written."""

    code = "accounts.email_taken"
    status = HTTPStatus.CONFLICT
    title = "The e-mail address is taken"


class AlreadyMember(DocmillError):
    """The user is a member already; a role is changed, not given twice."""

    code = "accounts.already_member"
    status = HTTPStatus.CONFLICT
    title = "Already a member of the organization"


class NotAMember(DocmillError):
    """A key acts in an organization only for somebody who is a member of it."""

    code = "accounts.not_a_member"
    status = HTTPStatus.CONFLICT
    title = "Not a member of the organization"


class AlreadyInvited(DocmillError):
    """The address has an invitation, which can be sent again or revoked."""

    code = "accounts.already_invited"
    status = HTTPStatus.CONFLICT
    title = "Invited already"


class LastOwner(DocmillError):
    """An organization is never without an owner."""

    code = "accounts.last_owner"
    status = HTTPStatus.CONFLICT
    title = "The organization needs an owner"


class PersonalOrganization(DocmillError):
    """In the organization that came with an account its person stays alone."""

    code = "accounts.personal_organization"
    status = HTTPStatus.CONFLICT
    title = "Not in a personal organization"


class TooMany(DocmillError):
    """There are as many as there may be; some must go before another is made."""

    code = "accounts.too_many"
    status = HTTPStatus.CONFLICT
    title = "Too many of these"


class StillBusy(DocmillError):
    """What is to be deleted still does something, or somebody needs it."""

    code = "accounts.still_busy"
    status = HTTPStatus.CONFLICT
    title = "It cannot be deleted yet"
