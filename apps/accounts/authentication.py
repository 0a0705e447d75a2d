"""API keys for Django REST framework: `Authorization: Bearer dm_...` (RFC 6750)."""

from datetime import datetime, timedelta
from functools import cache

from django.db.models import Q, QuerySet
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from apps.accounts.actor import Actor
from apps.accounts.models import ApiKey, User
from apps.accounts.services import digest_of

LAST_USE_PRECISION = timedelta(minutes=1)


class ApiKeyAuthentication(BaseAuthentication):
    """`request.user` is the key's person, `request.auth` the ApiKey.

    One query, and one more at most once a minute per key. Any bearer token that is not a good key
    is refused with a 401 rather than passed on: who shows a token means to be known by it.
    """

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        scheme, _, token = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        now = timezone.now()
        # There is one, if any: `first` would have them put in order.
        key = next(iter(_keys().filter(digest=digest_of(token.strip()))), None)
        if key is None:
            raise AuthenticationFailed("There is no such API key.", "auth.invalid_key")
        _refuse_unusable(key, now)
        _note_use(key, now)
        Actor.of_key(key, member_role=key.member_role).remember(request)
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="docmill"'


@cache
def _keys() -> QuerySet[ApiKey]:
    """All, with what is asked of one; put together once, which takes half as long as to ask."""
    return ApiKey.objects.with_member_role().select_related("user", "organization")


def _refuse_unusable(key: ApiKey, now: datetime) -> None:
    """Raises AuthenticationFailed, with a code of its own for each reason, for a key that is known
    but good no more: only who holds the token learns why."""
    if key.revoked_at is not None:
        raise AuthenticationFailed("This API key was revoked.", "auth.revoked_key")
    if key.is_expired(now):
        raise AuthenticationFailed("This API key has expired.", "auth.expired_key")
    if not key.user.is_active:
        raise AuthenticationFailed("This API key's user is inactive.", "auth.inactive_user")
    if key.member_role is None:
        raise AuthenticationFailed(
            "This API key's user is no longer a member of its organization.", "auth.not_a_member"
        )


def _note_use(key: ApiKey, now: datetime) -> None:
    """Keeps `last_used_at` right to the minute; of many requests at once, one writes."""
    before = now - LAST_USE_PRECISION
    if key.last_used_at is not None and key.last_used_at > before:
        return
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=before)
    ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)
