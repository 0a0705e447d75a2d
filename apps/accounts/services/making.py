"""What makes accounts. Who acts, and whether they may, is the caller's to have asked: the other
services do, on behalf of somebody."""

import hashlib
import secrets
from datetime import datetime

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.errors import AlreadyMember, EmailTaken, NotAMember
from apps.accounts.models import ApiKey, Membership, Organization, User, UserManager
from apps.accounts.names import clean_name
from apps.accounts.roles import Role, lower_of
from apps.audit.services import record
from apps.core.errors import FieldError, InvalidInput
from apps.core.events import tell

KEY_MARK = "dm_"
RANDOM_BYTES = 32
PREFIX_LENGTH = 11
"""Characters of a token that stay readable: the mark and 8 of its 43 random ones."""


def create_user(
    *,
    email: str,
    password: str | None,
    name: str = "",
    is_staff: bool = False,
    is_superuser: bool = False,
) -> User:
    """Make a user with a personal organization that they own.

    Without a password they cannot sign in until one is set. Raises InvalidInput for a bad address,
    name or password and EmailTaken.
    """
    user = User(
        email=UserManager.normalize_email(email),
        name=valid_name(name) if name else "",
        is_staff=is_staff,
        is_superuser=is_superuser,
    )
    errors = errors_of_fields(user) + _errors_of_password(password, user)
    if errors:
        raise InvalidInput(" ".join(error.detail for error in errors), errors=errors)
    user.set_password(password)
    register_user(user=user)
    return user


COMMAND_LINE = "command line"
"""Who acts where a command of this machine does, as the audit log names them."""


@transaction.atomic
def sign_up(
    *,
    email: str,
    password: str,
    name: str = "",
    is_staff: bool = False,
    is_superuser: bool = False,
    by: str = "",
) -> User:
    """As `create_user`, and recorded: by the new user, or by whoever `by` says."""
    user = create_user(
        email=email, password=password, name=name, is_staff=is_staff, is_superuser=is_superuser
    )
    record(
        organization=None,
        actor=None if by else user,
        actor_name=by or user.email,
        action="user.create",
        target="user",
        target_id=user.pk,
        detail={"email": user.email, "staff": is_staff, "superuser": is_superuser},
    )
    return user


@transaction.atomic
def set_password(*, user: User, password: str) -> None:
    """Give `user` a new password, which ends every session of theirs; API keys stay.

    Raises InvalidInput for one that is too easy to guess.
    """
    if errors := _errors_of_password(password, user):
        raise InvalidInput(" ".join(error.detail for error in errors), errors=errors)
    user.set_password(password)
    user.save(update_fields=["password"])
    record(organization=None, actor=user, action="password.set", target="user", target_id=user.pk)


def register_user(*, user: User) -> None:
    """Save a new, valid `user` together with their personal organization.

    Raises EmailTaken.
    """
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            personal = Organization.objects.create(
                name=user.name or user.email.partition("@")[0], personal_of=user
            )
            Membership.objects.create(user=user, organization=personal, role=Role.OWNER)
    except IntegrityError:
        if User.objects.filter(email=user.email).exclude(pk=user.pk).exists():
            error = FieldError("email", "taken", "Somebody else uses this e-mail address.")
            raise EmailTaken(error.detail, errors=[error]) from None
        raise


@transaction.atomic
def create_organization(*, name: str, owner: User) -> Organization:
    """Make an organization with `owner` as its first member. Raises InvalidInput for a bad name."""
    organization = Organization.objects.create(name=valid_name(name))
    Membership.objects.create(user=owner, organization=organization, role=Role.OWNER)
    return organization


@transaction.atomic
def add_member(*, organization: Organization, user: User, role: Role) -> Membership:
    """Make `user` a member with `role`. Raises AlreadyMember.

    Whether the one who asks may give that role is theirs to have checked: `roles.may_give`.
    """
    membership, is_new = Membership.objects.get_or_create(
        organization=organization, user=user, defaults={"role": Role(role)}
    )
    if not is_new:
        raise AlreadyMember(f"{user.email} is a member already, as {membership.role}.")
    tell("member_added", membership=membership)
    return membership


def create_api_key(
    *,
    organization: Organization,
    user: User,
    name: str,
    role: Role | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Make a key for `user` in `organization`: the row, and the token, which is shown only now.

    `role` is lowered to the user's own, which it is when none is given. Raises NotAMember, and
    InvalidInput for a bad name or an expiry that is not in the future.
    """
    membership = Membership.objects.in_organization(organization).filter(user=user).first()
    if membership is None:
        raise NotAMember(f"{user.email} is not a member of the organization.")
    if expires_at is not None and expires_at <= timezone.now():
        detail = "The expiry must be in the future."
        raise InvalidInput(detail, errors=[FieldError("expires_at", "past", detail)])
    member_role = Role(membership.role)
    token = KEY_MARK + secrets.token_urlsafe(RANDOM_BYTES)
    key = ApiKey.objects.create(
        organization=organization,
        user=user,
        name=valid_name(name),
        role=lower_of(Role(role), member_role) if role else member_role,
        prefix=token[:PREFIX_LENGTH],
        digest=digest_of(token.encode()),
        expires_at=expires_at,
    )
    return key, token


def revoke_api_key(*, key: ApiKey) -> bool:
    """Make `key` useless from the next request on. False when it was revoked before."""
    now = timezone.now()
    if not ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(revoked_at=now):
        return False
    key.revoked_at = now
    return True


def digest_of(token: bytes) -> str:
    """What is stored of a token: its SHA-256 in hexadecimal."""
    return hashlib.sha256(token).hexdigest()


def valid_name(name: str) -> str:
    """`name` as it is stored. Raises InvalidInput."""
    try:
        return clean_name(name)
    except ValueError as error:
        raise InvalidInput(str(error), errors=[FieldError("name", "invalid", str(error))]) from None


def errors_of_fields(user: User) -> list[FieldError]:
    try:
        user.clean_fields(exclude={"password"})
    except ValidationError as error:
        return [
            FieldError(field, problem.code or "invalid", text)
            for field, problems in error.error_dict.items()
            for problem in problems
            for text in problem.messages
        ]
    return []


def _errors_of_password(password: str | None, user: User) -> list[FieldError]:
    if password is None:
        return []
    try:
        validate_password(password, user)
    except ValidationError as error:
        return [
            FieldError("password", problem.code or "invalid", text)
            for problem in error.error_list
            for text in problem.messages
        ]
    return []
