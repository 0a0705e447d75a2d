"""Every attempt at a file, as its page shows them."""

from dataclasses import dataclass

from apps.accounts.actor import Actor
from apps.core.sealing import without
from apps.jobs.models import BatchFile, FileAttempt
from apps.jobs.services import password_of
from apps.queue.models import WorkerNode
from apps.queue.retry import FailureClass
from apps.web.advice import CLASS_WORDS

MAX_ATTEMPTS = 50
MAX_TRACEBACK = 20_000
"""Characters; the end says most."""
SHORT = 8
"""How many characters of a worker's id are shown: enough to tell those of a day apart."""


@dataclass(frozen=True)
class Tried:
    """An attempt as its row shows it; `seconds` is None while it runs, `host` "" where the worker
    is gone, and `traceback` "" for who may not see it."""

    attempt: FileAttempt
    seconds: float | None
    reason: str
    worker: str
    host: str
    traceback: str


def attempts_of(actor: Actor, file: BatchFile) -> list[Tried]:
    """The latest first. Tracebacks are for those who may change the job; at most two queries."""
    sees_all = actor.may("update", "jobs", created_by_id=file.job.created_by_id)
    found = FileAttempt.objects.filter(row=file).order_by("-number")
    attempts = list((found if sees_all else found.defer("traceback"))[:MAX_ATTEMPTS])
    hosts = _hosts(attempts)
    hidden = password_of(file.job) if sees_all and any(each.traceback for each in attempts) else ""
    return [
        Tried(
            each,
            _seconds(each),
            CLASS_WORDS[FailureClass(each.failure_class)] if each.failure_class else "",
            str(each.worker_id)[:SHORT],
            hosts.get(each.worker_id, ""),
            _shown(each.traceback, hidden) if sees_all else "",
        )
        for each in attempts
    ]


def _hosts(attempts: list[FileAttempt]) -> dict[object, str]:
    """By worker's id, where those ran that are still known."""
    workers = {each.worker_id for each in attempts}
    known = WorkerNode.objects.filter(pk__in=workers) if workers else []
    return {each.pk: each.host for each in known}


def _seconds(attempt: FileAttempt) -> float | None:
    ended = attempt.ended_at
    return (ended - attempt.started_at).total_seconds() if ended else None


def _shown(traceback: str, hidden: str) -> str:
    """Its end, without the documents' password: errors that nobody foresaw may quote anything."""
    return without(hidden, traceback)[-MAX_TRACEBACK:]
