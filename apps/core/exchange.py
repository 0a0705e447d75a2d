"""One request and its answer, as they are told once the answer has ended: to its log, to metrics.

`settings.REQUEST_LISTENERS` names functions that take an `Exchange`; each is called once for every
request, in the process that answered it, after the last byte was handed to the server or the
reader was gone.
"""

import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from apps.core.clients import client_address

logger = logging.getLogger(__name__)

EVENT_STREAM = "text/event-stream"
HIDDEN = "..."
_SECRET_ARGUMENTS = frozenset({"token", "uidb64"})
"""Names in routes for what opens a door by itself."""
_CATCH_ALL = "url"
"""The admin's route for what it does not know."""
_LONG = 20
"""Characters. A longer part of an address that leads nowhere may be a secret, mistyped."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class Exchange:
    """What is known of a request once its answer has ended.

    `path` is without the query and without secrets that stand in links; `route` is its pattern in
    the table of addresses, such as `jobs/<uuid:job_id>`, or "" where it leads nowhere: bounded, so
    it may be a label of a metric. `seconds` is until the answer had ended, `answer_seconds` until
    it began. `is_stream`: events, for as long as somebody reads. `is_aborted`: the reader was gone
    before the end. `size` is in bytes, None where nobody knows it beforehand. `user`,
    `organization` and `key` are ids, "" for nobody's.
    """

    request_id: str
    method: str
    path: str
    route: str
    status: int
    seconds: float
    answer_seconds: float
    client: str
    is_stream: bool = False
    is_aborted: bool = False
    size: int | None = None
    user: str = ""
    organization: str = ""
    key: str = ""


class Reading:
    """Whether an answer that is made while it is read was read to its end."""

    def __init__(self) -> None:
        self.is_whole = False

    def watch(self, response: Any) -> None:
        """Looks on while the content of a streaming response is read."""
        watched = self._of_async if response.is_async else self._of_plain
        response.streaming_content = watched(response.streaming_content)

    def _of_plain(self, content: Iterator[bytes]) -> Iterator[bytes]:
        yield from content
        self.is_whole = True

    async def _of_async(self, content: Any) -> AsyncIterator[bytes]:
        async with aclosing(content):
            async for part in content:
                yield part
        self.is_whole = True


def tell_at_end(
    request: HttpRequest, response: HttpResponseBase, *, request_id: str, began: float
) -> None:
    """Tells the listeners of the exchange when `response` is closed, which servers do at its end.

    `began` is of `time.perf_counter`.
    """
    answered = time.perf_counter()
    reading = Reading()
    # A file that a server may send by itself stays one; then nobody can say how far it came.
    is_watched = response.streaming and not _is_for_server(request, response)
    if is_watched:
        reading.watch(response)

    def end() -> None:
        _tell(
            Exchange(
                request_id=request_id,
                method=str(request.method),
                path=shown_path(request),
                route=route_of(request),
                status=response.status_code,
                seconds=time.perf_counter() - began,
                answer_seconds=answered - began,
                client=client_address(request),
                is_stream=is_event_stream(response),
                is_aborted=is_watched and not reading.is_whole,
                size=_size(response),
                **_who(request),
            )
        )

    response._resource_closers.append(end)  # type: ignore[attr-defined]  # unknown to its stubs


def note_who(request: HttpRequest, *, user: str, organization: str, key: str = "") -> None:
    """Keeps with the request who asks, as ids, for what is told of it."""
    request._docmill_who = {  # type: ignore[attr-defined]  # a note on the request
        "user": user,
        "organization": organization,
        "key": key,
    }


def is_event_stream(response: HttpResponseBase) -> bool:
    return response.streaming and response.get("Content-Type", "").startswith(EVENT_STREAM)


def route_of(request: HttpRequest) -> str:
    """The pattern that the path of `request` fits; "" for none, and before it was looked up."""
    match = getattr(request, "resolver_match", None)
    return "" if match is None or _CATCH_ALL in match.kwargs else str(match.route)


def shown_path(request: HttpRequest) -> str:
    """The path of `request` without what opens a door: tokens of links in mails."""
    path = str(request.path)
    match = getattr(request, "resolver_match", None)
    if match is None or _CATCH_ALL in match.kwargs:
        return "/".join(map(_shown_part, path.split("/")))
    for name in _SECRET_ARGUMENTS & match.kwargs.keys():
        path = path.replace(str(match.kwargs[name]), HIDDEN)
    return path


def _shown_part(part: str) -> str:
    return HIDDEN if len(part) > _LONG and not _UUID.fullmatch(part) else part


def _who(request: HttpRequest) -> dict[str, str]:
    noted: dict[str, str] | None = getattr(request, "_docmill_who", None)
    if noted is not None:
        return noted
    # Only where it was asked already: what is told of a request costs no query.
    user = getattr(request, "_cached_user", None)
    return {"user": str(user.pk)} if user is not None and user.is_authenticated else {}


def _is_for_server(request: HttpRequest, response: HttpResponseBase) -> bool:
    return getattr(response, "file_to_stream", None) is not None and (
        "wsgi.file_wrapper" in request.META
    )


def _size(response: HttpResponseBase) -> int | None:
    if not response.streaming:
        return len(response.content)  # type: ignore[attr-defined]  # of those that do not stream
    told = str(response.get("Content-Length", ""))
    return int(told) if told.isdecimal() else None


def _tell(exchange: Exchange) -> None:
    for listener in _listeners():
        try:
            listener(exchange)
        except Exception:  # Django would pass over it in silence
            logger.exception("a listener of requests failed")


@lru_cache(maxsize=1)
def _listeners() -> list[Callable[[Exchange], None]]:
    return [import_string(path) for path in settings.REQUEST_LISTENERS]


@receiver(setting_changed)
def _forget(*, setting: str, **_: object) -> None:
    if setting == "REQUEST_LISTENERS":
        _listeners.cache_clear()
