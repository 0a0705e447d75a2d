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
