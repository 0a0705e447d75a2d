"""The outer guard of pages that anybody may open: django-ratelimit, counting what comes from an
address, whatever it is.

It is coarse. Its windows are fixed ones, so over a boundary twice the limit passes; what counts
exactly stands behind it. It keeps a flood of forms away from what is costly there: hashing
passwords, mails, bodies of uploads.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest
from django_ratelimit.core import get_usage

from apps.core.clients import client_address
from apps.ratelimits.decision import Decision, Part, Standing
from apps.ratelimits.errors import TooManyRequests
from apps.ratelimits.requests import decisions_of, note_refusal
from apps.ratelimits.subjects import Subject
from apps.ratelimits.windows import Window, parse_windows

ViewT = TypeVar("ViewT", bound=Callable[..., Any])
NAME = "guard"


def guarded(group: str) -> Callable[[ViewT], ViewT]:
    """Lets LIMIT_GUARD requests from an address through to the pages of a `group`. Raises
    TooManyRequests."""

    def decorate(view: ViewT) -> ViewT:
        @wraps(view)
        def answer(request: HttpRequest, /, *args: Any, **kwargs: Any) -> Any:
            usage = get_usage(request, group, key=_address, rate=_rate, increment=True)
            if usage is not None and usage["should_limit"]:
                refused = _refusal(usage)
                decisions_of(request).append(refused)
                note_refusal(refused)
                raise TooManyRequests(refused)
            return view(request, *args, **kwargs)

        answer.guard = group  # type: ignore[attr-defined]  # a note for who looks for it
        guarded_view: ViewT = answer  # type: ignore[assignment]
        return guarded_view

    return decorate


def guard_window(text: str) -> Window | None:
    """The one window that LIMIT_GUARD names, None for `unlimited`. Raises ValueError."""
    windows = parse_windows(text)
    if len(windows) > 1:
        raise ValueError("the guard has one window")
    return windows[0] if windows else None


def _rate(_group: str, _request: HttpRequest) -> tuple[int, int] | None:
    if not settings.ENABLE_RATE_LIMITING:
        return None
    window = guard_window(settings.LIMIT_GUARD)
    return (window.limit, window.seconds) if window else None


def _address(_group: str, request: HttpRequest) -> str:
    """From whom a request comes, as all limits see it: through trusted proxies, IPv6 by /64."""
    return Subject.address(client_address(request)).key


def _refusal(usage: dict[str, int]) -> Decision:
    window = guard_window(settings.LIMIT_GUARD)
    assert window is not None
    wait_ms = max(1, usage["time_left"]) * 1000
    standing = Standing(window, window.limit, wait_ms)
    part = Part(NAME, "address", "", (standing,), wait_ms=wait_ms)
    return Decision(allowed=False, parts=(part,), at_ms=time.time_ns() // 1_000_000)
