"""The caches that are compared: each keeps the values of a function of a name, in one Valkey.

Those that have tags put two on every value. Only `Docmill` puts that of a kind on it besides, and
says whose it is.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from typing import Any
from uuid import UUID

Work = Callable[[str], Any]
Keep = Callable[[Work, int], Work]

KIND = "metrics"
ORGANIZATION = UUID("0190a1b2-0000-7000-8000-000000000001")
TAG = "thing:all"
AT_ONCE, TOGETHER = 64, 100


@dataclass(frozen=True)
class Peer:
    """`keep` connects, and gives what is called like the work, with its values kept for so many
    seconds. `package` is what has to be installed."""

    name: str
    keep: Keep
    package: str = "django"


def peers(*more: Peer) -> list[Peer]:
    """Those that are installed; Docmill first."""
    return [peer for peer in (*ALL, *more) if find_spec(peer.package)]


def docmill(work: Work, seconds: int) -> Work:
    """`seconds` are those of the kind: whoever measures has set them."""
    from apps.caching.decorators import cached
    from apps.caching.kinds import kinds

    assert kinds()[KIND].ttl == seconds

    @cached(KIND, tenant="organization_id", tags=[TAG])
    def kept(organization_id: UUID, name: str) -> Any:
        assert organization_id == ORGANIZATION
        return work(name)

    return partial(kept, ORGANIZATION)


def get_or_set(backend: str, work: Work, seconds: int) -> Work:
    """Each thread has a connection of its own to what `django.core.cache.caches` names."""
    from django.core.cache import caches

    return lambda name: caches[backend].get_or_set(name, partial(work, name), seconds)


def cacheops(work: Work, seconds: int) -> Work:
    from cacheops import cached

    _connect_cacheops()
    kept: Work = cached(timeout=seconds)(work)
    return kept


def cacheops_as(work: Work, seconds: int) -> Work:
    """Tagged by rows of two models, the only tags it has."""
    from apps.accounts.models import Organization
    from apps.jobs.models import BatchJob

    _connect_cacheops()
    _install_cacheops()
    from cacheops import cached_as

    rows = Organization.objects.filter(pk=ORGANIZATION)
    jobs = BatchJob.objects.filter(organization=ORGANIZATION)
    kept: Work = cached_as(rows, jobs, timeout=seconds, lock=True)(work)
    return kept


@cache
def _connect_cacheops() -> None:
    from django.conf import settings

    settings.CACHEOPS_REDIS = settings.REDIS_URL
    settings.CACHEOPS = {
        "accounts.organization": {"ops": (), "timeout": 600},
        "jobs.batchjob": {"ops": (), "timeout": 600},
    }


@cache
def _install_cacheops() -> None:
    """As its app does when the settings name it: from then on querysets are its own."""
    from cacheops.query import install_cacheops

    install_cacheops()


def dogpile(work: Work, seconds: int, *, in_background: bool = False) -> Work:
    from django.conf import settings
    from dogpile.cache import make_region

    def in_thread(_cache: Any, _key: str, creator: Callable[[], Any], mutex: Any) -> None:
        def run() -> None:
            try:
                region.set(_key, creator())
            finally:
                mutex.release()

        threading.Thread(target=run, daemon=True).start()

    region = make_region(async_creation_runner=in_thread if in_background else None)
    server = {"url": settings.REDIS_URL, "distributed_lock": True, "thread_local_lock": False}
    region.configure("dogpile.cache.redis", expiration_time=seconds, arguments=server)
    kept: Work = region.cache_on_arguments()(work)
    return kept


class Cashews:
    """In a loop of its own, in a thread of its own where it `is_shared` by several. The work, which
    blocks, is done in threads."""

    def __init__(self, work: Work, seconds: int, *, how: str, is_shared: bool = True) -> None:
        from cashews import Cache
        from django.conf import settings

        self.cache: Any = Cache()
        self.cache.setup("redis://", address=settings.REDIS_URL)  # its own know no sockets
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(AT_ONCE))
        if is_shared:
            threading.Thread(target=self._loop.run_forever, daemon=True).start()

        async def aside(name: str) -> Any:
            return await asyncio.to_thread(work, name)

        ways = {
            "plain": self.cache.cache,
            "locked": partial(self.cache.cache, lock=True),
            "early": self.cache.early,
        }
        self._kept = ways[how](ttl=seconds, key="kept:{name}", tags=("org:1", TAG))(aside)

    def __call__(self, name: str) -> Any:
        return self.run(self._kept(name=name))

    def ask_all(self, names: Sequence[str]) -> None:
        """Of a hundred at a time, which is what it is made for."""

        async def ask(some: Sequence[str]) -> None:
            await asyncio.gather(*[self._kept(name=name) for name in some])

        for first in range(0, len(names), TOGETHER):
            self.run(ask(names[first : first + TOGETHER]))

    def run(self, what: Coroutine[Any, Any, Any]) -> Any:
        if self._loop.is_running():
            return asyncio.run_coroutine_threadsafe(what, self._loop).result()
        return self._loop.run_until_complete(what)


ALL = (
    Peer("Docmill", docmill),
    Peer("Django, get_or_set", partial(get_or_set, "plain")),
    Peer("django-redis, get_or_set", partial(get_or_set, "default")),
    Peer("cacheops, cached", cacheops, "cacheops"),
    Peer("cacheops, cached_as with a lock", cacheops_as, "cacheops"),
    Peer("dogpile.cache, lock in Redis", dogpile, "dogpile"),
)
CASHEWS_ALONE = Peer("cashews, tags", partial(Cashews, how="plain", is_shared=False), "cashews")
CASHEWS_LOCKED = Peer("cashews, tags and a lock", partial(Cashews, how="locked"), "cashews")
CASHEWS_EARLY = Peer("cashews, early", partial(Cashews, how="early"), "cashews")
DOGPILE_ASIDE = Peer(
    "dogpile.cache, in the background", partial(dogpile, in_background=True), "dogpile"
)
