"""Where somebody is signed in, and ending it."""

from collections.abc import Iterable

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import SignedIn, User
from apps.audit.services import record

AGENT_MAX_LENGTH = 300


@transaction.atomic
def begin_session(*, user: User, session_key: str, agent: str) -> None:
    """Notes that `user` signed in: the session, and what the browser calls itself."""
    told = {"user": user, "agent": agent[:AGENT_MAX_LENGTH]}
    SignedIn.objects.update_or_create(session_id=session_key, defaults=told)
    record(organization=None, actor=user, action="session.begin", target="user", target_id=user.pk)


def know_session(*, user: User, session_key: str, agent: str) -> None:
    """Lists a session that began elsewhere or has another key by now, as after a new password."""
    if Session.objects.filter(pk=session_key).exists():
        told = {"user": user, "agent": agent[:AGENT_MAX_LENGTH]}
        SignedIn.objects.get_or_create(session_id=session_key, defaults=told)


def sessions_of(user: User) -> list[SignedIn]:
    """Those that are good, the newest first. A new password ends all others, whose rows stay until
    somebody comes with one of them."""
    rows = SignedIn.objects.filter(user=user, session__expire_date__gt=timezone.now())
    found = rows.select_related("session").order_by("-began_at", "-pk")
    hashes = {user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()}
    return [each for each in found if each.session.get_decoded().get(HASH_SESSION_KEY) in hashes]


@transaction.atomic
def end_sessions(*, user: User, sessions: Iterable[SignedIn]) -> int:
    """Ends those of `sessions` that are the user's; how many ended."""
    mine = SignedIn.objects.filter(user=user, pk__in=[each.pk for each in sessions])
    return _end(user, list(mine.values_list("session_id", flat=True)))


@transaction.atomic
def end_other_sessions(*, user: User, session_key: str) -> int:
    """Ends all of the user's but the one with that key, those too that are on no list because they
    began before there was one; how many ended."""
    others = SignedIn.objects.filter(user=user).exclude(session_id=session_key)
    keys = list(others.values_list("session_id", flat=True))
    live = Session.objects.filter(expire_date__gt=timezone.now()).exclude(pk=session_key)
    unlisted = live.exclude(pk__in=SignedIn.objects.values("session_id"))
    own = str(user.pk)
    keys += [each.pk for each in unlisted if each.get_decoded().get(SESSION_KEY) == own]
    return _end(user, keys)


def _end(user: User, keys: list[str]) -> int:
    Session.objects.filter(pk__in=keys).delete()
    if keys:
        record(
            organization=None,
            actor=user,
            action="session.end",
            target="user",
            target_id=user.pk,
            detail={"sessions": len(keys)},
        )
    return len(keys)
