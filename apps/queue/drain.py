"""One flag for all slots of a worker: when to stop claiming, and when to hand back what runs.

The flag lies in anonymous shared memory that is mapped when this module is imported, so that a
Celery pool process inherits it and sees what its parent sets.
"""

import mmap
import struct
import time

_FORMAT = "d"
_shared = mmap.mmap(-1, struct.calcsize(_FORMAT))


def begin() -> None:
    """Starts the drain now; a second call changes nothing."""
    if not began_at():
        _shared[:] = struct.pack(_FORMAT, time.monotonic())


def reset() -> None:
    """Ends the drain: for a worker that starts in a process that drained before."""
    _shared[:] = struct.pack(_FORMAT, 0.0)


def began_at() -> float:
    """When the drain began, by the monotonic clock that all processes share; 0.0 before."""
    return float(struct.unpack(_FORMAT, _shared[:])[0])


def is_over(grace_seconds: float) -> bool:
    """Whether the drain began more than `grace_seconds` ago."""
    began = began_at()
    return bool(began) and time.monotonic() - began >= grace_seconds
