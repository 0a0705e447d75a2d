"""Answers whose body is kept: with `X-Cache`, an ETag, and 304 for who has it already."""

from collections.abc import Mapping
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from rest_framework.request import Request

from apps.caching.cache import Outcome
from apps.core.errors import Changed

HEADER = "X-Cache"
REVALIDATED = "private, no-cache"
"""A browser may keep it, and asks each time whether it still may show it."""
OF_THE_BODY = ("Content-Type", "Content-Length")


def respond(
    request: HttpRequest | Request,
    outcome: Outcome,
    *,
    content_type: str,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """The answer with the value of `outcome`, text or bytes. Who may see it is asked before."""
    answer = HttpResponse(content_type=content_type, headers=headers)
    answer["Cache-Control"] = REVALIDATED
    answer["ETag"] = etag = f'"{outcome.digest.hex()}"'
    found = conditional(request, answer, etag)
    if found is answer:
        found.content = outcome.value
    found[HEADER] = outcome.status
    return found


def conditional(request: HttpRequest | Request, answer: HttpResponse, etag: str) -> HttpResponse:
    """`answer`, or 304 in its place. Raises Changed where it is not what the caller has."""
    plain = request._request if isinstance(request, Request) else request
    found = get_conditional_response(plain, etag=etag, response=answer)
    if found is None or found is answer:
        return answer
    if found.status_code == HTTPStatus.PRECONDITION_FAILED:
        raise Changed
    for name, value in answer.items():
        if name not in OF_THE_BODY:  # a browser takes those of the 304 in place of what it has
            found.headers.setdefault(name, value)
    return found
