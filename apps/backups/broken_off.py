"""What a restore that was killed has left: keys and a database beside those that are used."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from apps.backups import staging
from apps.backups.errors import RestoreRefused

BESIDE = ".restoring."
"""What the names of keys begin with until they take their place."""
LOCK = "restoring.lock"


@contextmanager
def the_only_one() -> Iterator[None]:
    """Within, this is the only restore into this data directory. Raises RestoreRefused."""
    path = _data() / LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RestoreRefused("Another restore into this data directory is running.") from error
        yield
    finally:
        os.close(descriptor)


def is_running() -> bool:
    """Whether a restore into this data directory is."""
    try:
        descriptor = os.open(_data() / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def key_beside(name: str) -> Path:
    return _data() / f"{BESIDE}{name}"


def keys_beside() -> list[Path]:
    return sorted(_data().glob(f"{BESIDE}*"))


def leftovers() -> list[str]:
    """What is left, by name."""
    return [*(path.name for path in keys_beside()), *staging.leftovers()]


def remove() -> None:
    """Removes it. Within `the_only_one`."""
    for path in keys_beside():
        path.unlink(missing_ok=True)
    staging.remove_leftovers()


def _data() -> Path:
    return Path(settings.DOCMILL_DATA_DIR)
