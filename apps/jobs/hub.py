"""Who watches which jobs in this process, and the one thread that looks for all of them.

One query a second says what has changed, however many watch; a message through Redis makes it
sooner. The database is all that is believed: a message that is lost costs a second.
"""

import hashlib
import logging
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from types import FrameType
from typing import Any
from uuid import UUID
from weakref import WeakSet

from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from apps.core.breaker import FAILURES, PAUSE_SECONDS
from apps.core.pool import give_back
from apps.jobs.events import MAX_TOLD, Look, Told, Watch, data_of
from apps.jobs.live import live_of
from apps.jobs.metrics import STREAMS_OPEN
from apps.jobs.models import BatchJob, Mark
from apps.jobs.news import News, heard
from apps.jobs.states import CLOSED, OPEN

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
GAP_SECONDS = 0.2
"""Between two looks, however much is said meanwhile."""
READ_TOGETHER = 500


class Hub:
    """All open streams of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: set[Watch] = set()
        self._admitted: dict[int, WeakSet[Watch]] = defaultdict(WeakSet)
        self._wanted: Counter[UUID] = Counter()  # jobs, and organizations whose lists are watched
        self._lists = 0
        self._said: set[News] = set()
        self._woken = threading.Event()
        self._is_watched = threading.Event()
        self._looker = Looker()
        self._has_begun = False
        self.is_over = False

    def begin(self) -> None:
        """Starts to look and to listen, for as long as the process lives."""
        _when_asked_to_end(self.close)
        for work in (self._look_again_and_again, self._listen):
            threading.Thread(target=work, name="jobs-hub", daemon=True).start()

    def admit(self, watch: Watch, *, most: int) -> bool:
        """Whether its user may have it open besides those that are. It counts from now on, until it
        is left or forgotten."""
        with self._lock:
            own = self._admitted[watch.user_id]
            if len(own) >= most:
                return False
            own.add(watch)
            return True

    def join(self, watch: Watch) -> None:
        """Looks for it from now on, the first time at once. Called on its event loop."""
        watch.begin()
        with self._lock:
            self._watches.add(watch)
            STREAMS_OPEN.set(len(self._watches))
            self._count(watch, 1)
            is_first, self._has_begun = not self._has_begun, True
            if self.is_over:
                watch.end()
        if is_first:
            self.begin()
        self._is_watched.set()
        self._woken.set()

    def leave(self, watch: Watch) -> None:
        with self._lock:
            if watch in self._watches:
                self._watches.remove(watch)
                STREAMS_OPEN.set(len(self._watches))
                self._count(watch, -1)
            own = self._admitted.get(watch.user_id)
            if own is not None:
                own.discard(watch)
                if not own:
                    del self._admitted[watch.user_id]
            if not self._watches:
                self._is_watched.clear()

    def say(self, news: News) -> None:
        """Somebody said that a job has changed: looks soon, if anybody may want to know."""
        # Of a change it is not said in which organization.
        is_of_list = news.gone_from in self._wanted if news.gone_from else self._lists > 0
        if is_of_list or news.job_id in self._wanted:
            with self._lock:
                self._said.add(news)
            self._woken.set()

    def close(self) -> None:
        """Ends all streams: the process is asked to end."""
        self.is_over = True
        for watch in list(self._watches):
            watch.loop.call_soon_threadsafe(watch.end)

    def look(self) -> None:
        """Once, for all who watch."""
        with self._lock:
            watches, said = set(self._watches), self._said
            self._said = set()
        try:
            found = self._looker.look(watches, said)
        except Exception:
            with self._lock:  # of what was deleted nobody says it again
                self._said |= said
            raise
        for loop, looks in _by_loop(found).items():
            with suppress(RuntimeError):  # it was closed meanwhile: nobody listens there
                loop.call_soon_threadsafe(_hand_out, looks)

    def _count(self, watch: Watch, number: int) -> None:
        target = watch.job_id or watch.organization_id
        self._wanted[target] += number
        if not self._wanted[target]:
            del self._wanted[target]
        self._lists += number * (watch.job_id is None)

    def _look_again_and_again(self) -> None:
        while True:
            self._woken.wait(TICK_SECONDS - GAP_SECONDS if self._watches else None)
            self._woken.clear()
            try:
                close_old_connections()
                self.look()
            except (DatabaseError, InterfaceError) as error:
                logger.warning("live events: the database does not answer (%s)", error)
                connection.close()
                time.sleep(TICK_SECONDS)
            except Exception:  # the thread that ends is that of all streams
                logger.exception("live events: nobody could be told")
                time.sleep(TICK_SECONDS)
            if self._watches:
                give_back()
            else:
                connection.close()
            time.sleep(GAP_SECONDS)

    def _listen(self) -> None:
        while True:
            self._is_watched.wait()
            try:
                with closing(heard()) as messages:
                    for news in messages:
                        if news is not None:
                            self.say(news)
                        if not self._is_watched.is_set():
                            break
            except FAILURES:
                time.sleep(PAUSE_SECONDS)


class Looker:
    """What has changed since the last look. Used by one thread."""

    def __init__(self) -> None:
        self._known: dict[UUID, int] = {}  # revisions
        self._listed: set[UUID] = set()  # organizations whose jobs were looked at before

    def look(self, watches: Iterable[Watch], said: Iterable[News]) -> list[tuple[Watch, Look]]:
        """What each of `watches` is to be told, if anything. One query, and three more where
        something has changed."""
        watches = list(watches)
        of_jobs = [watch for watch in watches if watch.job_id is not None]
        of_lists = [watch for watch in watches if watch.job_id is None]
        marks = BatchJob.objects.marks(
            {watch.job_id for watch in of_jobs if watch.job_id},
            organizations={watch.organization_id for watch in of_lists},
            said={news.job_id for news in said},
        )
        lists = _Lists(marks, of_lists)
        changed = {pk for pk, mark in marks.items() if self._known.get(pk) != mark.revision}
        newly_listed = lists.organizations - self._listed
        watched = {watch.job_id for watch in of_jobs}
        told = _told(
            {pk for pk in changed if pk in watched or marks[pk].organization_id not in newly_listed}
            | {watch.job_id for watch in of_jobs if watch.is_fresh and watch.job_id in marks}
            | lists.first_of_the_fresh()
        )
        self._known = {pk: mark.revision for pk, mark in marks.items()}
        # Of those that all were told of; the others may have gone on since, for some to hear yet.
        self._known |= {pk: job.revision for pk, job in told.items() if pk in changed}
        self._listed = lists.organizations
        looks = [(watch, _look_at(watch, told, marks)) for watch in of_jobs]
        looks += lists.looks(told, changed, said)
        for watch in watches:
            watch.is_fresh = False
        return [(watch, look) for watch, look in looks if look is not None]


class _Lists:
    """Those who watch all that an organization has open."""

    def __init__(self, marks: dict[UUID, Mark], watches: list[Watch]) -> None:
        self.organizations = {watch.organization_id for watch in watches}
        self._watches = watches
        self._marks: dict[UUID, list[Mark]] = {each: [] for each in self.organizations}
        for mark in marks.values():
            if mark.organization_id in self._marks:
                self._marks[mark.organization_id].append(mark)

    def first_of_the_fresh(self) -> set[UUID]:
        """The newest of what is open, for those who were told nothing yet, and of what has just
        ended: it may have been open when they came, and nobody would tell them of its end."""
        fresh = {watch.organization_id for watch in self._watches if watch.is_fresh}
        return {pk for each in fresh for pk in self._newest(each)}

    def looks(
        self, told: dict[UUID, Told], changed: set[UUID], said: Iterable[News]
    ) -> list[tuple[Watch, Look | None]]:
        gone: dict[UUID, set[UUID]] = defaultdict(set)
        for news in said:
            if news.gone_from in self.organizations:
                gone[news.gone_from].add(news.job_id)
        later = {each: self._look(each, told, changed, gone[each]) for each in self.organizations}
        fresh = {watch.organization_id for watch in self._watches if watch.is_fresh}
        first = {each: self._first_look(each, told) for each in fresh}
        return [
            (watch, (first if watch.is_fresh else later)[watch.organization_id])
            for watch in self._watches
        ]

    def _newest(self, organization_id: UUID) -> set[UUID]:
        marks = self._marks[organization_id]
        best = sorted(marks, key=lambda mark: (mark.state in OPEN, mark.pk), reverse=True)
        return {mark.pk for mark in best[:MAX_TOLD]}

    def _first_look(self, organization_id: UUID, told: dict[UUID, Told]) -> Look:
        jobs = [told[pk] for pk in sorted(self._newest(organization_id) & told.keys())]
        return Look(jobs, mark=self._mark(organization_id), is_first=True)

    def _look(
        self, organization_id: UUID, told: dict[UUID, Told], changed: set[UUID], gone: set[UUID]
    ) -> Look | None:
        jobs = [told[pk] for pk in sorted(changed & told.keys())]
        own = [job for job in jobs if job.organization_id == organization_id]
        return Look(own, gone, self._mark(organization_id)) if own or gone else None

    def _mark(self, organization_id: UUID) -> str:
        """Another one whenever a job of the list has changed, come or ended."""
        marks = self._marks[organization_id]
        known = sorted((mark.pk.bytes, mark.revision) for mark in marks if mark.state in OPEN)
        return hashlib.blake2s(repr(known).encode(), digest_size=8).hexdigest()


def _look_at(watch: Watch, told: dict[UUID, Told], marks: dict[UUID, Mark]) -> Look | None:
    assert watch.job_id is not None
    if watch.job_id not in marks:
        return Look(gone=[watch.job_id])
    job = told.get(watch.job_id)
    return Look([job]) if job else None


def _told(ids: Iterable[UUID | None]) -> dict[UUID, Told]:
    """Each of these jobs that is there, as it is now. A job is read before its files are: what is
    told of it may be ahead of its revision, and never behind."""
    wanted = sorted(each for each in ids if each is not None)
    found = {}
    for start in range(0, len(wanted), READ_TOGETHER):
        jobs = list(BatchJob.objects.filter(pk__in=wanted[start : start + READ_TOGETHER]))
        live = live_of(jobs)
        for job in jobs:
            data = data_of(job, live[job.pk])
            is_closed = job.state in CLOSED
            found[job.pk] = Told(job.pk, job.organization_id, job.revision, is_closed, data)
    return found


def _by_loop(looks: Iterable[tuple[Watch, Look]]) -> dict[Any, list[tuple[Watch, Look]]]:
    found: dict[Any, list[tuple[Watch, Look]]] = defaultdict(list)
    for watch, look in looks:
        found[watch.loop].append((watch, look))
    return found


def _hand_out(looks: Iterable[tuple[Watch, Look]]) -> None:
    for watch, look in looks:
        watch.put(look)


def _when_asked_to_end(work: Callable[[], None]) -> None:
    """Calls `work` first when the process gets SIGTERM or SIGINT; the server's own handling follows
    then, as if this were not there. Web servers wait for streams otherwise, which do not end."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def handle(signum: int, frame: FrameType | None, before: Any = before) -> None:
            work()
            if callable(before):
                before(signum, frame)

        signal.signal(number, handle)


hub = Hub()
