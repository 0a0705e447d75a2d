"""One request at a time under an Idempotency-Key: the next is told so before its body is read.

The kernel holds the lock and lets go of it when the process dies, so a key is never left taken.
Where web machines share no locks on files, the key's row in SQL still makes one job of all.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from apps.accounts.actor import Actor
from apps.jobs.errors import IdempotencyInProgress
from apps.jobs.places.folder import make_private

WAIT_SECONDS = 5.0
"""A request that comes this soon before the end of the first gets its answer."""
LOOK_SECONDS = 0.05


@contextmanager
def alone_with(key: str, *, actor: Actor, route: str) -> Iterator[None]:
    """Holds the key of that person for that route; "" is none. Raises IdempotencyInProgress."""
    if not key:
        yield
        return
    name = f"{actor.organization.pk} {actor.user.pk} {route} {key}"
    path = _folder() / hashlib.sha256(name.encode()).hexdigest()
    descriptor = _taken(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _folder() -> Path:
    folder = Path(settings.DOCMILL_DATA_DIR) / "keys"
    make_private(folder)
    return folder


def _taken(path: Path) -> int:
    """The open file, locked."""
    until = time.monotonic() + WAIT_SECONDS
    while (descriptor := _try(path)) is None:
        if time.monotonic() > until:
            raise IdempotencyInProgress("Send it again when the first has ended.", retry_after=1)
        time.sleep(LOOK_SECONDS)
    return descriptor


def _try(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who held it before took the name away: another may have made the file anew since.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None
