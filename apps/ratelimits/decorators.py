"""The limits of Django's views, plain and asynchronous."""

from collections.abc import Callable, Sequence
from functools import update_wrapper
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.http import HttpRequest

from apps.ratelimits.requests import count

ViewT = TypeVar("ViewT", bound=Callable[..., Any])


def limited(
    *names: str, fragments: str = "", within: Sequence[str] = ()
) -> Callable[[ViewT], ViewT]:
    """Counts each request to the view for the limiters `names`, and raises TooManyRequests instead
    of calling it where one has no room: told on a page, or as a problem under `/api/`.

    `fragments` counts in their place what a page that is open asks for by itself, through htmx.
    `within` are those that the view counts, once it knows that it counts.
    For methods use Django's `method_decorator`.
    """

    def decorate(view: ViewT) -> ViewT:
        answer: Any
        if iscoroutinefunction(view):

            async def answer(request: HttpRequest, /, *args: Any, **kwargs: Any) -> Any:
                await sync_to_async(count)(request, *_names(request))
                return await view(request, *args, **kwargs)

        else:

            def answer(request: HttpRequest, /, *args: Any, **kwargs: Any) -> Any:
                count(request, *_names(request))
                return view(request, *args, **kwargs)

        update_wrapper(answer, view)
        answer.limiters = (*names, fragments) if fragments else names
        answer.counted_within = tuple(within)
        limited_view: ViewT = answer
        return limited_view

    def _names(request: HttpRequest) -> tuple[str, ...]:
        is_fragment = bool(fragments) and bool(getattr(request, "htmx", None))
        return (fragments,) if is_fragment else names

    return decorate


def never_limited(view: ViewT) -> ViewT:
    """Says that the view has no limiters: it answers when everything else does not."""
    view.limiters = ()  # type: ignore[attr-defined]  # a note on the function
    return view
