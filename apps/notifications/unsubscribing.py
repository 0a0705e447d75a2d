"""Links that end mails without a sign-in (RFC 8058): who has one was mailed it."""

from django.core import signing
from django.db import transaction

from apps.accounts.models import User
from apps.core.errors import NotFound
from apps.notifications.kinds import KINDS
from apps.notifications.preferences import Mail
from apps.notifications.services import change_choices

SALT = "docmill.unsubscribe"


def token_of(user_id: int, kind: str = "") -> str:
    """Ends the mails of `kind` to that user, or of all kinds; it stays good."""
    return signing.dumps([user_id, kind], salt=SALT)


def meant_by(token: str) -> tuple[User, list[str]]:
    """Whose mails of which kinds it ends. Raises NotFound for what is no such token, and where the
    user is gone."""
    try:
        user_id, kind = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        raise NotFound("This link is not whole: copy it from the mail once more.") from None
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        raise NotFound("There is no such account any more, and no mails to it.")
    return user, [kind] if kind else list(KINDS)


@transaction.atomic
def stop_mails(user: User, kinds: list[str]) -> None:
    """No more mails of `kinds` to `user`, nor of what was to be mailed already."""
    known = [kind for kind in kinds if kind in KINDS]
    change_choices(user=user, changes={kind: {"mail": Mail.NEVER} for kind in known})
