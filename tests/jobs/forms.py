"""Multipart bodies byte by byte, since every client library cleans what it sends."""

import itertools
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from rest_framework.test import APIClient

from apps.jobs.models import BatchFile, BatchJob, Blob, IdempotencyKey

BOUNDARY = "a-boundary-of-the-tests"
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
UPLOAD = "/api/batch/upload"
SAMPLES = Path(__file__).resolve().parents[2] / "samples"

_serial = itertools.count(1)


def part(
    content: bytes | None = None,
    name: str | bytes = "a.txt",
    *,
    field: str = "file",
    disposition: bytes | None = None,
) -> bytes:
    """A file's part; `name` as it stands, or the whole of `disposition` instead. Without `content`
    it is ten bytes that no other part has: what was read before is not read again."""
    if content is None:
        content = b"text %04d\n" % next(_serial)
    if disposition is None:
        raw = name.encode() if isinstance(name, str) else name
        disposition = b'form-data; name="%s"; filename="%s"' % (field.encode(), raw)
    return b"Content-Disposition: %s\r\n\r\n%s" % (disposition, content)


def field(name: str, value: str | bytes) -> bytes:
    """A plain field's part."""
    raw = value.encode() if isinstance(value, str) else value
    return b'Content-Disposition: form-data; name="%s"\r\n\r\n%s' % (name.encode(), raw)


def body_of(parts: Sequence[bytes]) -> bytes:
    """The whole body, with its last delimiter."""
    opened = b"".join(b"--%s\r\n%s\r\n" % (BOUNDARY.encode(), each) for each in parts)
    return opened + b"--%s--\r\n" % BOUNDARY.encode()


def post(api: APIClient, *parts: bytes, **headers: str) -> Any:
    """The answer to a submission of `parts`."""
    return post_body(api, body_of(parts), **headers)


def post_body(api: APIClient, body: bytes, content_type: str = FORM_TYPE, **headers: str) -> Any:
    return api.generic("POST", UPLOAD, body, content_type, headers=headers)


def accepted(api: APIClient, *parts: bytes, **headers: str) -> dict[str, Any]:
    """The job that a submission of `parts` made; fails when it was not accepted."""
    answer = post(api, *(parts or (part(),)), **headers)
    assert answer.status_code == 202, answer.content
    return dict(answer.json())


def body(answer: Any) -> bytes:
    """All of an answer, streamed or not; a file that it was read from is closed."""
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


def files_of(api: APIClient, job: dict[str, Any]) -> list[dict[str, Any]]:
    answer = api.get(f"/api/batch/jobs/{job['id']}/files?limit=100")
    assert answer.status_code == 200, answer.content
    return list(answer.json()["results"])


def zipped(**members: str) -> bytes:
    sink = BytesIO()
    with ZipFile(sink, "w") as bundle:
        for name, text in members.items():
            bundle.writestr(name, text)
    return sink.getvalue()


def stored(root: Path) -> list[str]:
    """Every file under `root`, relative: nothing when nothing was stored."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def assert_nothing_stored(data_dir: Path) -> None:
    for model in (BatchJob, BatchFile, Blob, IdempotencyKey):
        assert not model.objects.exists(), model
    assert stored(data_dir / "blobs") == []
    assert not list((data_dir / "incoming").glob("*"))


def refusal(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The problem in `answer`, which must be of that status and code."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    return problem


def read(api: APIClient, path: str) -> dict[str, Any]:
    """What is at `path`."""
    return done(api.get(path))


def done(answer: Any) -> dict[str, Any]:
    """The answer to something that was done, which must have been."""
    assert answer.status_code == 200, answer.content
    return dict(answer.json())
