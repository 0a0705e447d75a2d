"""What a mail of notifications says."""

from collections.abc import Sequence

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from apps.accounts.models import User
from apps.notifications.kinds import KINDS
from apps.notifications.models import Notification
from apps.notifications.unsubscribing import token_of

SHOWN = 50
"""So many of a digest are written out; of the others it says how many they are."""
MAX_SUBJECT = 150


def letter(user: User, rows: Sequence[Notification], *, name: str) -> EmailMultiAlternatives:
    """The mail that tells `user` of `rows`, at least one. `name` makes its Message-ID: a mail that
    is sent anew can be known by it."""
    kind = rows[0].kind if len(rows) == 1 else ""
    unsubscribe = _address(reverse("web:unsubscribe", args=[token_of(user.pk, kind)]))
    known = {
        "entries": [(row.told, _page(row)) for row in rows[:SHOWN]],
        "more": max(0, len(rows) - SHOWN),
        "list": _address(reverse("web:notifications")),
        "preferences": _address(reverse("web:notification-preferences")),
        "unsubscribe": unsubscribe,
        "kind": KINDS[kind].label if kind in KINDS else "",
    }
    mail = EmailMultiAlternatives(
        _subject(rows),
        render_to_string("notifications/mail.txt", known),
        to=[user.email],
        headers={
            "Auto-Submitted": "auto-generated",
            "List-Unsubscribe": f"<{unsubscribe}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "Message-ID": f"<{name}@{_domain()}>",
        },
    )
    mail.attach_alternative(render_to_string("notifications/mail.html", known), "text/html")
    return mail


def _subject(rows: Sequence[Notification]) -> str:
    """On one line, as headers are."""
    if len(rows) > 1:
        return f"{len(rows)} notifications of Docmill"
    text = " ".join(rows[0].told.title.split())
    return text if len(text) <= MAX_SUBJECT else f"{text[: MAX_SUBJECT - 1]}…"


def _page(row: Notification) -> str:
    return _address(reverse("web:notification", args=[row.pk]))


def _address(path: str) -> str:
    return f"{settings.PUBLIC_URL}{path}"


def _domain() -> str:
    return settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip(" >") or "localhost"
