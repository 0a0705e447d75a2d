"""The private folder a child works in: its document is copied there, and everything goes after."""

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
import time
from pathlib import Path

from apps.processors.sandbox import nobody

PREFIX = "docmill-read-"
LOCK = "lock"
OLD_SECONDS = 60


class Workroom:
    """A folder with an unguessable name that only the child's user can enter.

    It lies in a folder that nobody but us can list, so that two children of the same user do not
    find each other's documents. The lock tells others that it is in use.
    """

    def __init__(self) -> None:
        sweep(Path(tempfile.gettempdir()))
        self._base = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = os.open(self._base / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.path = self._base / secrets.token_hex(16)
        self.path.mkdir(mode=0o700)
        self._base.chmod(0o711)
        _give_away(self.path)

    def bring(self, source: Path, suffix: str) -> str:
        """Copy `source` in. Returns its name, to be opened relative to the room.

        A copy, not a link: the child's user becomes its owner. Raises OSError when there is no
        room on the disk.
        """
        name = f"document{suffix}"
        target = self.path / name
        shutil.copyfile(source, target)
        target.chmod(0o400)
        _give_away(target)
        return name

    def tidy(self) -> None:
        """Remove what lies in the room."""
        for entry in os.scandir(self.path):
            if entry.is_dir(follow_symlinks=False):
                remove(Path(entry.path))
            else:
                Path(entry.path).unlink(missing_ok=True)

    def remove(self) -> None:
        remove(self._base)
        with contextlib.suppress(OSError):
            os.close(self._lock)


def remove(folder: Path) -> None:
    """Remove `folder` and what is in it, as far as that is allowed.

    Not by recursion, as shutil does: who was taken over may leave folders in folders, a thousand
    and more, and all that come after would fail over them. What lies in a folder within is moved
    up, until there is nothing within.
    """
    with contextlib.suppress(OSError):
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            _empty(top)
        finally:
            os.close(top)
        folder.rmdir()


def _empty(top: int) -> None:
    """Empty the folder that is open as `top`. Raises OSError."""
    ahead = _emptied_of_files(top)
    while ahead:
        name = ahead.pop()
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
        try:
            for deeper in _emptied_of_files(inner):
                moved = secrets.token_hex(8)
                os.rename(deeper, moved, src_dir_fd=inner, dst_dir_fd=top)
                ahead.append(moved)
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=top)


def _emptied_of_files(folder: int) -> list[str]:
    """The folders in it, which are all that is left in it."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=folder)
    return folders


def sweep(folder: Path) -> None:
    """Remove our rooms in `folder` whose host was killed: those whose lock nobody holds."""
    for base in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # held, or being removed by somebody else
            if _is_old_and_ours(base.lstat()):
                lock = os.open(base / LOCK, os.O_RDWR | os.O_NOFOLLOW)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove(base)
                finally:
                    os.close(lock)


def _is_old_and_ours(status: os.stat_result) -> bool:
    """Old, because a room is there for a moment before its lock is held."""
    ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return ours and time.time() - status.st_mtime > OLD_SECONDS


def _give_away(path: Path) -> None:
    """To the child's user; not where that is refused, for there the child stays root too."""
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            os.chown(path, *nobody())
