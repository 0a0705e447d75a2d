"""What can be put right by itself, for `inspection`."""

from apps.backups import inspection, restoring
from apps.queue.findings import Promise
from apps.queue.mending import Mender

MENDERS: dict[Promise, tuple[str, Mender]] = {
    inspection.LEFT: ("remove what a restore left that was broken off", restoring.give_up),
}
