"""What people change of their own account."""

from django.db import IntegrityError, transaction

from apps.accounts.errors import EmailTaken
from apps.accounts.models import User, UserManager
from apps.accounts.services.making import errors_of_fields, valid_name
from apps.audit.services import record
from apps.core.errors import FieldError, InvalidInput


@transaction.atomic
def rename_user(*, user: User, name: str) -> None:
    """Gives `user` another name, or none. Raises InvalidInput."""
    name = valid_name(name) if name.strip() else ""
    if name == user.name:
        return
    User.objects.filter(pk=user.pk).update(name=name)
    user.name = name
    _note(user, "user.rename")


def valid_address(email: str) -> str:
    """`email` as it is stored. Raises InvalidInput."""
    user = User(email=UserManager.normalize_email(email), password="-")  # noqa: S106  not one
    errors = [each for each in errors_of_fields(user) if each.field == "email"]
    if errors:
        raise InvalidInput(" ".join(each.detail for each in errors), errors=errors)
    return user.email


def change_email(*, user: User, email: str) -> None:
    """Lets `user` sign in with another address, which is known to be theirs. Raises InvalidInput,
    or EmailTaken."""
    email = valid_address(email)
    before = user.email
    try:
        with transaction.atomic():
            User.objects.filter(pk=user.pk).update(email=email)
            user.email = email
            _note(user, "user.email", before=before)
    except IntegrityError:
        user.email = before
        error = FieldError("email", "taken", "Somebody else uses this e-mail address.")
        raise EmailTaken(error.detail, errors=[error]) from None


def _note(user: User, action: str, **detail: object) -> None:
    record(
        organization=None,
        actor=user,
        action=action,
        target="user",
        target_id=user.pk,
        detail=detail,
    )
