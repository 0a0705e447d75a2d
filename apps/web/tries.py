"""What counts as a try at an account, and for whom.

A sign-in that fails counts for the address that it came from and for the account, five in a
quarter of an hour of each. Alone, that would let a stranger lock somebody out for as long as they
like, by failing on purpose. So:

- A browser that has signed in to the account before has a signed cookie that says so. It has a
  count of its own for that account, and neither the stranger's failures nor those of its network
  touch it. Stolen, the cookie is good for five tries like any other.
- Who is at a new browser meanwhile can have a link mailed, which counts by itself. Whoever opens it
  and sets a new password has shown that the account is theirs; that browser is known from then on.
  A stranger who uses up the mails has sent the link for them.

Of an account, all browsers that are not known share one count: guessing from many addresses gets
nobody more than five tries.
"""

import secrets
from collections.abc import Sequence
from typing import Any

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from apps.ratelimits.requests import Caller, count_pairs
from apps.ratelimits.subjects import Kind, Subject

AUTH = "auth"
COOKIE = "device"
SALT = "docmill.device"
MAX_ACCOUNTS = 8
"""Of a browser that several people share, those who signed in last are known."""
A_YEAR = 365 * 24 * 3600


def count_try(request: HttpRequest, email: str) -> None:
    """Counts a sign-in before its password is looked at; it is given back when it goes well. Raises
    TooManyRequests."""
    known = _known(request)
    if _mark(email) in known.get("of", ()):
        count_pairs(request, [(AUTH, Subject.account(email, known["id"]))], _ruled_by(request))
    else:
        _count(request, Subject.account(email))


def count_mail(request: HttpRequest, email: str, purpose: str) -> None:
    """Counts a mail that somebody has sent to `email`, whether there is an account or not: what is
    counted must not tell. Raises TooManyRequests."""
    _count(request, Subject.account(email, purpose))


def count_invitation(request: HttpRequest, email: str) -> None:
    """Counts a mail that members have sent to `email`, whoever of them it is: nobody is to be
    flooded. Raises TooManyRequests."""
    pairs = [(AUTH, Subject.account(email, "invitation"))]
    count_pairs(request, pairs, _ruled_by(request))


def count_bad_link(request: HttpRequest) -> None:
    """Counts a link that is not good, or not any more. Raises TooManyRequests."""
    _count(request)


def remember_device(request: HttpRequest, response: HttpResponse, email: str) -> None:
    """From now on the browser is known to the account."""
    known = _known(request)
    marks = [_mark(email), *(mark for mark in known.get("of", ()) if mark != _mark(email))]
    told = {"id": known.get("id") or secrets.token_urlsafe(12), "of": marks[:MAX_ACCOUNTS]}
    response.set_cookie(
        COOKIE,
        signing.dumps(told, salt=SALT),
        max_age=A_YEAR,
        samesite="Lax",
        secure=request.is_secure(),
        httponly=True,
    )


def _count(request: HttpRequest, *accounts: Subject) -> None:
    address = Caller.of(request).subjects[Kind.ADDRESS]
    pairs = [(AUTH, subject) for subject in (address, *accounts)]
    count_pairs(request, pairs, _ruled_by(request))


def _ruled_by(request: HttpRequest) -> Sequence[Subject]:
    return Caller.of(request).ruled_by


def _known(request: HttpRequest) -> dict[str, Any]:
    """What the browser's cookie says; nothing where it was not we who wrote it."""
    try:
        told: dict[str, Any] = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT)
    except signing.BadSignature:
        return {}
    return told


def _mark(email: str) -> str:
    """Stands for the account in the cookie."""
    return salted_hmac(SALT, email.strip().lower(), algorithm="sha256").hexdigest()[:24]
