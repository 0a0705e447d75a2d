"""Mails about an account, sent by workers in the lane `email`.

A page only puts the address in line, the same for whoever asks about whomever: neither its answer
nor how long it takes tells whether there is an account. What is in line is encrypted.
"""

import json
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core import signing
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.crypto import salted_hmac
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from apps.accounts.models import Invitation, User, UserManager
from apps.accounts.services import invitation_by, token_of
from apps.core.metrics import external_call
from apps.core.sealing import seal, unseal
from apps.queue.handlers import Control, RunFailed
from apps.queue.models import WorkItem
from apps.queue.retry import Failure, FailureClass
from apps.queue.work_items import MAILS, submit_work

PURPOSE = "address of a mail"
SIGN_UP = "docmill.sign-up"
ADDRESS = "docmill.address"
RESET_KIND, SIGN_UP_KIND = "mail.reset", "mail.sign-up"
INVITATION_KIND, ADDRESS_KIND, MOVED_KIND = "mail.invitation", "mail.address", "mail.moved"
TITLES = {
    RESET_KIND: "Mail: a new password",
    SIGN_UP_KIND: "Mail: a new account",
    INVITATION_KIND: "Mail: an invitation",
    ADDRESS_KIND: "Mail: a new address",
    MOVED_KIND: "Mail: the address was changed",
}


def ask_for_mail(kind: str, email: str) -> None:
    """Puts a mail in line."""
    _put_in_line(kind, UserManager.normalize_email(email))


def ask_for_invitation(invitation: Invitation) -> None:
    _put_in_line(INVITATION_KIND, invitation.email, token=token_of(invitation))


def ask_for_address(user: User, email: str) -> None:
    """Asks who reads the mails of `email` whether it is to be the address of `user`."""
    _put_in_line(ADDRESS_KIND, email, token=address_token(user, email))


def _put_in_line(kind: str, email: str, token: str = "") -> None:
    told = {"email": email, "token": token}
    # While no worker comes by, asking again does not make it two.
    dedupe_key = salted_hmac(PURPOSE, email + token, algorithm="sha256").hexdigest()
    submit_work(
        by=None,
        kind=kind,
        title=TITLES[kind],
        payload={"sealed": seal(json.dumps(told), purpose=PURPOSE)},
        dedupe_key=dedupe_key,
        lane=MAILS,
    )


def send_reset(item: WorkItem, _: Control) -> dict[str, Any]:
    """Mails a link that sets a new password; nothing to whom no active account is of."""
    email, _token = _opened(item)
    user = _user(email)
    if user is not None and user.has_usable_password():
        number = urlsafe_base64_encode(force_bytes(user.pk))
        token = default_token_generator.make_token(user)
        _send("reset", email, reverse("web:new-password", args=[number, token]))
    return {}


def send_sign_up(item: WorkItem, _: Control) -> dict[str, Any]:
    """Mails a link that makes an account; who has one is told so instead."""
    email, _token = _opened(item)
    if User.objects.filter(email=email).exists():
        _send("known", email, reverse("web:reset"))
    else:
        _send("sign_up", email, reverse("web:join", args=[invitation(email)]))
    return {}


def send_invitation(item: WorkItem, _: Control) -> dict[str, Any]:
    """Mails a link that makes its reader a member; nothing when it was revoked meanwhile. The same
    to whoever has an account and who has none."""
    email, token = _opened(item)
    invitation = invitation_by(token)
    if invitation is not None:
        _send(
            "invitation",
            email,
            reverse("web:accept", args=[token]),
            organization=invitation.organization.name,
            role=invitation.role,
            sender=invitation.invited_by.email,
            until=invitation.expires_at,
        )
    return {}


def send_address(item: WorkItem, _: Control) -> dict[str, Any]:
    """Mails a link that confirms an address. Who has an account by it is told so instead."""
    email, token = _opened(item)
    found = address_by(token)
    if found is None:  # done, or not wanted any more
        return {}
    if User.objects.filter(email=email).exists():
        _send("address_taken", email, reverse("web:reset"), old=found[0].email)
    else:
        _send("address", email, reverse("web:new-address", args=[token]), old=found[0].email)
    return {}


def send_moved(item: WorkItem, _: Control) -> dict[str, Any]:
    """Tells at the old address that it is not that of the account any more."""
    email, _token = _opened(item)
    _send("moved", email, reverse("web:reset"))
    return {}


def address_token(user: User, email: str) -> str:
    """What shows that its bearer reads the mails of `email`, and that `user` wants it to be theirs.
    It is spent once their address or password is another one."""
    told = {"user": user.pk, "mark": _mark(user), "email": email}
    return signing.dumps(told, salt=ADDRESS)


def address_by(token: str) -> tuple[User, str] | None:
    """Whose address is to be which; None for a token that is not good, or not any more."""
    try:
        told = signing.loads(token, salt=ADDRESS, max_age=settings.PASSWORD_RESET_TIMEOUT)
    except signing.BadSignature:
        return None
    user = User.objects.filter(pk=told["user"], is_active=True).first()
    return (user, told["email"]) if user and _mark(user) == told["mark"] else None


def _mark(user: User) -> str:
    return salted_hmac(ADDRESS, user.email + user.password, algorithm="sha256").hexdigest()[:32]


def invitation(email: str) -> str:
    """What shows that its bearer reads the mails of `email`."""
    return signing.dumps(email, salt=SIGN_UP)


def invited(token: str) -> str | None:
    """The address of an invitation, None where it is not good, or not any more."""
    try:
        email: str = signing.loads(token, salt=SIGN_UP, max_age=settings.PASSWORD_RESET_TIMEOUT)
    except signing.BadSignature:
        return None
    return email


def _opened(item: WorkItem) -> tuple[str, str]:
    told = json.loads(unseal(item.payload["sealed"], purpose=PURPOSE))
    return told["email"], told.get("token", "")


def _user(email: str) -> User | None:
    return User.objects.filter(email=email, is_active=True).first()


def _send(template: str, email: str, path: str, **more: object) -> None:
    """The first line of the template is the subject; links lead to PUBLIC_URL, whatever host a
    request named. Raises RunFailed when the mail is not taken."""
    known = {
        "link": settings.PUBLIC_URL + path,
        "site": f"{settings.PUBLIC_URL}/",
        "email": email,
        "minutes": settings.PASSWORD_RESET_TIMEOUT // 60,
        **more,
    }
    text = render_to_string(f"web/mail/{template}.txt", known)
    subject, _, body = text.partition("\n")
    try:
        with external_call("mail"):
            send_mail(subject, body.lstrip(), None, [email])
    except (OSError, SMTPException) as error:
        # Without what was raised: it may quote the address.
        detail = f"The mail server did not take it ({type(error).__name__})."
        raise RunFailed(Failure(FailureClass.TRANSIENT, "work.unsent", detail)) from None
