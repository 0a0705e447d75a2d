"""Asking once more who somebody is, while a long answer to them goes on."""

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from apps.accounts.actor import Actor
from apps.accounts.authentication import ApiKeyAuthentication


def actor_again(request: Request) -> Actor:
    """Who `request` would be from, if it came now: by the same key, or the same session.

    Raises AuthenticationFailed, NotAuthenticated or Forbidden where it would be refused: a key that
    was revoked, a session that was ended, somebody who is no member any more.
    """
    plain: Any = HttpRequest()
    plain.method, plain.META, plain.COOKIES = "GET", request.META, request.COOKIES
    sessions: Any = import_module(settings.SESSION_ENGINE)
    plain.session = sessions.SessionStore(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    plain.user = get_user(plain)
    fresh = Request(plain, authenticators=[ApiKeyAuthentication(), SessionAuthentication()])
    if not fresh.user.is_authenticated:
        raise NotAuthenticated
    return Actor.of_request(fresh)
