"""Whether files can be taken, as `/health` tells it: the disk each time, a bucket now and then."""

import tempfile
import threading
import time

from django.conf import settings

from apps.health.report import Finding
from apps.health.telling import say
from apps.jobs.errors import StorageFull, StorageUnavailable
from apps.jobs.places import place
from apps.jobs.storage import check_room

DISK, BUCKET = "disk", "s3"
WRITTEN_BYTES = 4096
BUCKET_SECONDS = 10.0
"""For so long what a bucket answered holds: it is asked over the network, and may cost money."""
BUCKET_FAILED_SECONDS = 2.0
"""The same of one that failed, so that it is soon seen to be back."""


class Look:
    """`degraded` where there is less room than submissions want, and what there is can be read;
    `failed` where a write does not go through."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trouble = ""
        self._valid_until = 0.0

    def __call__(self) -> Finding:
        kind = BUCKET if settings.STORAGE_URL else DISK
        status, trouble = self._look()
        say("storage", trouble)
        return Finding(status, kind)

    def _look(self) -> tuple[str, str]:
        try:
            check_room(0)
            with tempfile.TemporaryFile(dir=settings.DOCMILL_DATA_DIR, buffering=0) as file:
                file.write(bytes(WRITTEN_BYTES))
        except StorageFull as error:
            return "degraded", error.detail
        except OSError as error:
            return "failed", f"the data directory takes no writes: {error}"
        trouble = self._bucket() if settings.STORAGE_URL else ""
        return ("failed", trouble) if trouble else ("ok", "")

    def _bucket(self) -> str:
        """What is wrong with it, "" when nothing is."""
        with self._lock:
            if time.monotonic() >= self._valid_until:
                self._trouble = _asked()
                seconds = BUCKET_FAILED_SECONDS if self._trouble else BUCKET_SECONDS
                self._valid_until = time.monotonic() + seconds
            return self._trouble


def _asked() -> str:
    try:
        place().ask()
    except (StorageUnavailable, OSError) as error:
        return str(error)
    return ""
