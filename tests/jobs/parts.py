"""Uploads in parts, as a client of the protocol makes them."""

from base64 import b64encode
from typing import Any

from rest_framework.test import APIClient

from apps.jobs import resumable
from apps.jobs.models import UploadSession
from tests.jobs.forms import field

UPLOADS = "/api/batch/uploads"
PART_TYPE = "application/offset+octet-stream"


def named(name: str | bytes) -> str:
    """The Upload-Metadata of a file of that name."""
    raw = name.encode() if isinstance(name, str) else name
    return f"filename {b64encode(raw).decode()}"


def begin(api: APIClient, size: int | str, name: str | bytes = "a.txt", **headers: str) -> Any:
    given = {"Upload-Length": str(size), "Upload-Metadata": named(name)} | headers
    return api.generic("POST", UPLOADS, headers=given)


def begun(api: APIClient, size: int, name: str = "a.txt") -> str:
    """The path of a new upload; fails when there is none."""
    answer = begin(api, size, name)
    assert answer.status_code == 201, answer.content
    return f"{UPLOADS}/{answer.json()['id']}"


def add(
    api: APIClient, path: str, offset: int | str, part: bytes, content_type: str = PART_TYPE
) -> Any:
    given = {"Upload-Offset": str(offset)}
    # Without a body the test client would name neither.
    plain = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(len(part))}
    return api.generic("PATCH", path, part, content_type, headers=given, **plain)


def added(api: APIClient, path: str, offset: int, part: bytes) -> int:
    """Where it goes on after that part; fails when it was not taken."""
    answer = add(api, path, offset, part)
    assert answer.status_code == 204, answer.content
    return int(answer["Upload-Offset"])


def offset_of(api: APIClient, path: str) -> int:
    answer = api.head(path)
    assert answer.status_code == 200, answer.content
    return int(answer["Upload-Offset"])


def uploaded(api: APIClient, content: bytes, name: str = "a.txt") -> str:
    """The id of a finished upload."""
    path = begun(api, len(content), name)
    if content:
        assert added(api, path, 0, content) == len(content)
    return path.rpartition("/")[2]


def ids(*uploads: str) -> bytes:
    """The field of a submission that takes these."""
    return field("upload_ids", ",".join(uploads))


def stored_of(path: str) -> bytes:
    """What is stored of the upload at `path`, as a submission would read it."""
    where = resumable.bytes_of(UploadSession.objects.get(pk=path.rpartition("/")[2]))
    return where.read_bytes() if where else b""
