"""What Docmill promises of rows, bytes and the audit log: looked at, and put right where safe."""

import logging
from collections.abc import Callable, Iterable, Sequence

from django.db import DatabaseError, connection

from apps.audit.services import record
from apps.audit.verifying import verify_all
from apps.backups import inspection as backups
from apps.backups import mending as mending_backups
from apps.jobs import inspection as jobs
from apps.jobs import mending as mending_jobs
from apps.jobs import stock
from apps.jobs.errors import StorageUnavailable
from apps.notifications import inspection as mails
from apps.queue import inspection as queue
from apps.queue import mending as mending_queue
from apps.queue.findings import BROKEN, OK, Finding, Promise
from apps.webhooks import inspection as webhooks

logger = logging.getLogger(__name__)

Findings = dict[str, Sequence[Finding]]

AUDIT = Promise(
    "chains", BROKEN, "somebody changed the log from outside: compare it with a backup."
)
UNREADABLE = Promise("rows", BROKEN, "see that the database answers, and run manage.py migrate.")
UNREADABLE_DISK = Promise("disk", BROKEN, "run doctor as the user that the service runs as.")
UNREADABLE_BUCKET = Promise(
    "bucket", BROKEN, "see STORAGE_URL and its key, and run manage.py storage check."
)
MENDERS = {
    promise.name: mender
    for menders in (mending_queue.MENDERS, mending_jobs.MENDERS, mending_backups.MENDERS)
    for promise, mender in menders.items()
}
"""By the name of a finding: what is done about it, in words and in fact. In this order."""


def inspect(*, is_quick: bool, tell: stock.Tell) -> Findings:
    """All findings by section; `is_quick` leaves out what reads the whole disk and the whole log.
    Changes nothing. `tell` is told how many blobs and files were looked at so far."""
    looks: dict[str, Callable[[], list[Finding]]] = {
        "Queue": queue.inspect,
        "Jobs": jobs.inspect,
        "Mails": mails.inspect,
        "Webhooks": webhooks.inspect,
        "Backups": backups.inspect,
    }
    if not is_quick:
        looks |= {"Bytes": lambda: stock.inspect(tell), "Audit log": _audit}
    return {title: _readable(look) for title, look in looks.items()}


def plan(findings: Findings) -> list[str]:
    """What `mend` would do about `findings`, each once, in words."""
    return list(dict.fromkeys(MENDERS[name][0] for name in _mendable(findings)))


def mend(findings: Findings) -> dict[str, int]:
    """Puts right what can be, and records it as one entry of the system's log: by what was done,
    how much of it there was. What cannot be done is logged, and the rest is done all the same."""
    done: dict[str, int] = {}
    for words, mender in dict.fromkeys(MENDERS[name] for name in _mendable(findings)):
        try:
            done[words] = mender()
        except (DatabaseError, OSError):
            logger.exception("doctor could not %s", words)
    if any(done.values()):
        record(organization=None, actor=None, action="doctor.fix", detail=done)
    return done


def lost_jobs(findings: Findings) -> list[str]:
    """The ids of jobs to submit again, whose bytes are lost; of many only the first."""
    is_lost = any(each.name == stock.LOST.name for each in _bad(findings))
    return [str(pk) for pk in stock.jobs_with_lost_bytes()] if is_lost else []


def _mendable(findings: Findings) -> list[str]:
    bad = {finding.name for finding in _bad(findings)}
    return [name for name in MENDERS if name in bad]


def _bad(findings: Findings) -> Iterable[Finding]:
    return (each for found in findings.values() for each in found if each.status != OK)


def _readable(look: Callable[[], list[Finding]]) -> list[Finding]:
    """What `look` finds, or that it cannot look."""
    try:
        return look()
    except DatabaseError as error:
        connection.close()
        return [UNREADABLE.finding(1, [error])]
    except StorageUnavailable as error:
        return [UNREADABLE_BUCKET.finding(1, [error.detail])]
    except OSError as error:
        return [UNREADABLE_DISK.finding(1, [error])]


def _audit() -> list[Finding]:
    flaws = [str(flaw).removesuffix(".") for flaw in verify_all()]
    return [AUDIT.finding(len(flaws), flaws)]
