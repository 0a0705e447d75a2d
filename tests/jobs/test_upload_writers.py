"""Writers of an upload in parts: several at once, those that are cut off, and those that die."""

import io
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.http import UnreadablePostError

from apps.accounts.models import Organization, User
from apps.core.errors import NotFound
from apps.jobs import resumable
from apps.jobs.errors import IncompleteUpload, WrongOffset
from apps.jobs.models import UploadSession
from apps.jobs.services import begin_upload
from tests.batches import owner_of, together
from tests.conftest import ApiFor
from tests.jobs.parts import add, begun, offset_of, stored_of

CONTENT = os.urandom(40_000)


class Cut(io.BytesIO):
    """The body of a client that leaves after what it has sent; `then` happens first."""

    def __init__(self, sent: bytes, then: Any = None, raising: bool = True) -> None:
        super().__init__(sent)
        self._then, self._raising = then, raising

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(size)
        if chunk:
            return chunk
        if self._then:
            self._then()
        if self._raising:
            raise UnreadablePostError("gone")
        return b""


@pytest.fixture
def upload(acme: Organization) -> UploadSession:
    """Alice's, of 40,000 bytes, of which 10,000 are stored."""
    made = begin_upload(actor=owner_of(acme), name="a.txt", size_bytes=40_000)
    return resumable.append(made, offset_bytes=0, body=io.BytesIO(CONTENT[:10_000]), length=10_000)


def rest_of(upload: UploadSession) -> bytes:
    """What is stored once the rest was added."""
    start = UploadSession.objects.get(pk=upload.pk).offset_bytes
    body = io.BytesIO(CONTENT[start:])
    done = resumable.append(upload, offset_bytes=start, body=body, length=40_000 - start)
    assert UploadSession.objects.get(pk=upload.pk).is_finished
    path = resumable.bytes_of(done)
    assert path
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    return path.read_bytes()


@pytest.mark.parametrize("raising", [True, False])
def test_what_came_of_a_part_that_was_cut_off_stays(upload: UploadSession, raising: bool) -> None:
    body = Cut(CONTENT[10_000:17_000], raising=raising)
    with pytest.raises(IncompleteUpload):
        resumable.append(upload, offset_bytes=10_000, body=body, length=30_000)
    assert UploadSession.objects.get(pk=upload.pk).offset_bytes == 17_000
    assert rest_of(upload) == CONTENT


def test_a_writer_that_is_overtaken_adds_nothing_more(upload: UploadSession) -> None:
    """Its connection hangs while another brings other bytes; then it goes on."""

    def overtake() -> None:
        resumable.append(upload, offset_bytes=10_000, body=io.BytesIO(b"n" * 5), length=5)

    slow = Cut(CONTENT[10_000:30_000], then=overtake)
    with pytest.raises(WrongOffset) as wrong:
        resumable.append(upload, offset_bytes=10_000, body=slow, length=30_000)
    assert wrong.value.offset_bytes == 10_005
    kept = UploadSession.objects.get(pk=upload.pk)
    path = resumable.bytes_of(kept)
    assert path
    assert path.read_bytes() == CONTENT[:10_000] + b"n" * 5


def test_bytes_of_a_writer_that_died_are_not_read(upload: UploadSession) -> None:
    """As a kill -9 in the middle of a part leaves it: more in the file than was counted."""
    path = resumable.bytes_of(upload)
    assert path
    with path.open("ab") as sink:
        sink.write(b"never counted")
    assert rest_of(upload) == CONTENT
    UploadSession.objects.all().delete()


def test_after_one_that_died_the_next_takes_a_file_of_its_own(upload: UploadSession) -> None:
    dead = resumable.take_over(upload, offset_bytes=10_000)[0]
    path = resumable.bytes_of(dead)
    assert path
    assert rest_of(upload) == CONTENT
    assert not path.exists()


@pytest.mark.parametrize("is_alone", [True, False])
def test_one_that_is_overtaken_before_it_opens_the_file_is_told(
    upload: UploadSession, is_alone: bool
) -> None:
    taken, writer, _ = resumable.take_over(upload, offset_bytes=10_000)
    slow = resumable.Writer(taken, writer, resumable.bytes_of(taken), goes_on=is_alone)
    assert rest_of(upload) == CONTENT
    with pytest.raises(WrongOffset) as wrong:
        slow.write(io.BytesIO(b"late"), 4)
    assert wrong.value.offset_bytes == 40_000


def test_a_part_that_cannot_be_written_costs_itself_alone(
    upload: UploadSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable, "COUNTED_BYTES", 4000)
    monkeypatch.setattr(resumable, "CHUNK_BYTES", 4000)
    syncs = iter([None, None, OSError(28, "No space left on device")])

    def fsync(_: int) -> None:
        if error := next(syncs, None):
            raise error

    body = io.BytesIO(CONTENT[10_000:])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="No space"):
            resumable.append(upload, offset_bytes=10_000, body=body, length=30_000)
    assert UploadSession.objects.get(pk=upload.pk).offset_bytes == 18_000
    assert rest_of(upload) == CONTENT


def test_lost_bytes_end_the_upload(upload: UploadSession, data_dir: Path) -> None:
    shutil.rmtree(data_dir / "uploads")
    with pytest.raises(NotFound):
        resumable.append(upload, offset_bytes=10_000, body=io.BytesIO(b"x"), length=1)
    assert not UploadSession.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_several_writers_at_once_one_is_taken(alice: User, api_for: ApiFor) -> None:
    apis = [api_for(alice) for _ in range(8)]
    path = begun(apis[0], 16_000)
    parts = [bytes([number]) * 8000 for number in range(8)]
    for start in (0, 8000):
        answers = together(
            [partial(add, api, path, start, part) for api, part in zip(apis, parts, strict=True)]
        )
        assert sorted(answer.status_code for answer in answers) == [204] + [409] * 7
        [winner] = [n for n, answer in enumerate(answers) if answer.status_code == 204]
        assert stored_of(path)[start:] == parts[winner]
    assert offset_of(apis[0], path) == 16_000


def test_a_part_is_synced_before_it_is_counted(
    upload: UploadSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable, "COUNTED_BYTES", 8000)
    monkeypatch.setattr(resumable, "CHUNK_BYTES", 4000)
    counted: list[tuple[int, int]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        before = UploadSession.objects.get(pk=upload.pk).offset_bytes
        counted.append((before, os.fstat(descriptor).st_size))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert rest_of(upload) == CONTENT
    assert counted == [(10_000, 18_000), (18_000, 26_000), (26_000, 34_000), (34_000, 40_000)]
