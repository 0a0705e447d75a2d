"""Saying through Redis that a job has changed, so that who watches it looks at once.

Worth nothing if lost: who watches looks at the database by himself every second.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

import redis
from django.conf import settings
from django.db import transaction

from apps.core.breaker import FAILURES, Breaker, impatient

CHANNEL = "docmill:jobs"
HEARD_SECONDS = 1.0
"""How long `heard` waits for a message before it says that there is none."""


@dataclass(frozen=True)
class News:
    """A job that has changed; `gone_from` is the organization that it was deleted from."""

    job_id: UUID
    gone_from: UUID | None = None

    def __call__(self) -> None:
        """Says it. What `transaction.on_commit` calls."""
        breaker = _breaker()
        if not breaker.is_closed():
            return
        try:
            _client().publish(CHANNEL, str(self))
        except FAILURES as error:
            breaker.trip(error)

    def __str__(self) -> str:
        return f"{self.job_id} {self.gone_from or ''}".rstrip()

    @classmethod
    def parse(cls, text: str) -> "News":
        """Raises ValueError for what is none."""
        job_id, _, gone_from = text.partition(" ")
        return cls(UUID(job_id), UUID(gone_from) if gone_from else None)


def tell_on_commit(job_id: UUID, *, gone_from: UUID | None = None) -> None:
    """Says once the transaction is committed that the job has changed. Called wherever its
    `revision` rises; once for each transaction is enough."""
    news = News(job_id, gone_from)
    if gone_from is None and _is_told(news):
        return
    transaction.on_commit(news, robust=True)


def _is_told(news: News) -> bool:
    """Whether it will be said already."""
    connection: Any = transaction.get_connection()
    return connection.in_atomic_block and any(
        hook == news for _, hook, _ in connection.run_on_commit
    )


def heard() -> Generator[News | None, None, None]:
    """What others say from now on, and None about once a second while nobody says anything.
    Raises one of `breaker.FAILURES` once Redis is away."""
    client = redis.Redis.from_url(settings.REDIS_URL, health_check_interval=15, **impatient())
    pubsub: Any = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    with client, closing(pubsub) as subscription:
        subscription.subscribe(CHANNEL)
        yield None
        while True:
            message = subscription.get_message(timeout=HEARD_SECONDS)
            yield _news_in(message) if message else None


def _news_in(message: dict[str, Any]) -> News | None:
    try:
        return News.parse(message["data"].decode())
    except ValueError:
        return None


@lru_cache(maxsize=1)
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, **impatient())


def _probe() -> None:
    _client().ping()


@lru_cache(maxsize=1)
def _breaker() -> Breaker:
    return Breaker(
        _probe,
        name="live events",
        meanwhile="they come once a second",
    )
