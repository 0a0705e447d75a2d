import os
import stat
import tempfile
from pathlib import Path

import pytest

from apps.processors.workroom import OLD_SECONDS, Workroom, sweep

pytestmark = pytest.mark.once


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def age(room: Workroom) -> None:
    os.utime(room.path.parent, (0, 0))


def test_nobody_else_can_enter_or_find_a_room(scratch: Path) -> None:
    room = Workroom()
    assert stat.S_IMODE(room.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(room.path.parent.stat().st_mode) == 0o711  # can be passed, not listed
    assert len(room.path.name) == 32
    room.remove()
    assert list(scratch.iterdir()) == []


def test_a_room_in_use_is_not_swept(scratch: Path) -> None:
    room = Workroom()
    age(room)
    sweep(scratch)
    assert room.path.exists()
    room.remove()


def test_a_room_that_was_left_is_swept_when_it_is_old(scratch: Path) -> None:
    room = Workroom()
    os.close(room._lock)  # as when its owner is killed
    sweep(scratch)
    assert room.path.exists()
    age(room)
    sweep(scratch)
    assert list(scratch.iterdir()) == []
    assert OLD_SECONDS > 10


def test_a_link_in_the_shared_folder_is_not_followed(scratch: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "lock").touch()
    os.utime(precious, (0, 0))
    (scratch / "docmill-read-trap").symlink_to(precious)
    sweep(scratch)
    assert (precious / "lock").exists()


def test_folders_within_folders_without_end_go(scratch: Path) -> None:
    room = Workroom()
    deepest = os.open(room.path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("f" * 200, dir_fd=deepest)
        above, deepest = deepest, os.open("f" * 200, os.O_RDONLY, dir_fd=deepest)
        os.close(above)
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=deepest))
    os.close(deepest)
    room.tidy()
    assert list(room.path.iterdir()) == []
    room.remove()
    assert not list(scratch.iterdir())


def test_a_copy_comes_in_and_goes_out(scratch: Path, tmp_path: Path) -> None:
    source = tmp_path / "blob"
    source.write_bytes(b"content")
    room = Workroom()
    name = room.bring(source, ".pdf")
    assert (room.path / name).read_bytes() == b"content"
    (room.path / "folder").mkdir()
    (room.path / "link").symlink_to(source)
    room.tidy()
    assert list(room.path.iterdir()) == []
    assert source.read_bytes() == b"content"
    room.remove()
