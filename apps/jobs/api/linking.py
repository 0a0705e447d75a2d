"""Sending who may have bytes to where they lie, instead of handing them on."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from rest_framework import status
from rest_framework.request import Request

from apps.caching.http import conditional
from apps.core.errors import NotFound
from apps.jobs import storage
from apps.jobs.models import Blob

LINKED: dict[Any, Any] = {302: None, 304: None}
"""What the schema says of it."""


def linked(
    request: Request,
    blob: Blob,
    *,
    name: str,
    media_type: str,
    etag: str,
    headers: Mapping[str, str],
) -> HttpResponse | None:
    """302 to an address where the bytes can be fetched for a short while, also parts of them, to be
    saved as `name`; 304 for who has them. None where they lie here. Raises NotFound and
    StorageUnavailable.

    The address has a signature in it: nobody is to keep it.
    """
    url = storage.link(blob, name=name, content_type=media_type)
    if url is None:
        return None
    answer = HttpResponse(
        headers={
            **{key: value for key, value in headers.items() if key != "Content-Disposition"},
            "ETag": etag,
            "Cache-Control": "private, no-store",
            "Referrer-Policy": "no-referrer",
        }
    )
    known = conditional(request, answer, etag)
    if known.status_code != status.HTTP_200_OK:
        return known
    if not storage.is_there(blob):
        raise NotFound("The bytes are not in storage any more.")
    answer.status_code, answer["Location"] = status.HTTP_302_FOUND, url
    return answer
