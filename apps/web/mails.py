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
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.crypto import salted_hmac
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from apps.accounts.models import User, UserManager
from apps.core.sealing import seal, unseal
from apps.queue.handlers import Control, RunFailed
from apps.queue.models import WorkItem
from apps.queue.retry import Failure, FailureClass
from apps.queue.work_items import MAILS, submit_work

PURPOSE = "address of a mail"
SIGN_UP = "docmill.sign-up"
RESET_KIND, SIGN_UP_KIND = "mail.reset", "mail.sign-up"
TITLES = {RESET_KIND: "Mail: a new password", SIGN_UP_KIND: "Mail: a new account"}


def ask_for_mail(request: HttpRequest, kind: str, email: str) -> None:
    """Puts a mail in line; its links lead to the address at which the request came."""
    told = {"email": UserManager.normalize_email(email), "site": request.build_absolute_uri("/")}
    submit_work(
        by=None,
        kind=kind,
        title=TITLES[kind],
        payload={"sealed": seal(json.dumps(told), purpose=PURPOSE)},
        # While no worker comes by, asking again does not make it two.
        dedupe_key=salted_hmac(PURPOSE, told["email"], algorithm="sha256").hexdigest(),
        lane=MAILS,
    )


def send_reset(item: WorkItem, _: Control) -> dict[str, Any]:
    """Mails a link that sets a new password; nothing to whom no active account is of."""
    email, site = _opened(item)
    user = _user(email)
    if user is not None and user.has_usable_password():
        number = urlsafe_base64_encode(force_bytes(user.pk))
        token = default_token_generator.make_token(user)
        _send("reset", email, site, reverse("web:new-password", args=[number, token]))
    return {}


def send_sign_up(item: WorkItem, _: Control) -> dict[str, Any]:
    """Mails a link that makes an account; who has one is told so instead."""
    email, site = _opened(item)
    if User.objects.filter(email=email).exists():
        _send("known", email, site, reverse("web:reset"))
    else:
        _send("sign_up", email, site, reverse("web:join", args=[invitation(email)]))
    return {}


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
    return told["email"], told["site"]


def _user(email: str) -> User | None:
    return User.objects.filter(email=email, is_active=True).first()


def _send(template: str, email: str, site: str, path: str) -> None:
    """The first line of the template is the subject. Raises RunFailed when it is not taken."""
    known = {
        "link": site.rstrip("/") + path,
        "site": site,
        "email": email,
        "minutes": settings.PASSWORD_RESET_TIMEOUT // 60,
    }
    text = render_to_string(f"web/mail/{template}.txt", known)
    subject, _, body = text.partition("\n")
    try:
        send_mail(subject, body.lstrip(), None, [email])
    except (OSError, SMTPException) as error:
        # Without what was raised: it may quote the address.
        detail = f"The mail server did not take it ({type(error).__name__})."
        raise RunFailed(Failure(FailureClass.TRANSIENT, "work.unsent", detail)) from None
