"""Telling idle slots that a lane has work. Worth nothing if lost: the sweep rings again.

`ring` and `tasks.work` are the only two places that know of a broker.
"""

import logging
import time
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from apps.queue.models import WorkerNode

logger = logging.getLogger(__name__)

BREAKER_SECONDS = 5
"""After a failed ring, how long nobody tries again: the sweep rings anyway."""
SEEN_WITHIN = timedelta(seconds=60)
DEFAULT_SLOTS = 8
TASK = "queue.work"
PUBLISH_TIMEOUT_SECONDS = 0.5

_silent_until = 0.0


def live_slots(lane: str) -> int:
    """How many slots of living workers serve `lane`, by the database's clock."""
    seen = WorkerNode.objects.filter(seen_at__gt=Now() - SEEN_WITHIN)
    return sum(slots for lanes, slots in seen.values_list("lanes", "slots") if lane in lanes)


def ring(lane: str, count: int) -> bool:
    """Wakes up to `count` slots of `lane`. False when the broker cannot be reached.

    Never raises and never waits long: what it announces is already committed.
    """
    global _silent_until  # noqa: PLW0603  the breaker's one bit of process state
    if count < 1 or time.monotonic() < _silent_until:
        return False
    try:
        _publish(lane, min(count, live_slots(lane) or DEFAULT_SLOTS))
    except (BrokerError, RedisError, OSError) as error:
        _silent_until = time.monotonic() + BREAKER_SECONDS
        logger.warning("no doorbell for lane %s (%s); the sweep will ring", lane, error)
        return False
    return True


def ring_on_commit(lane: str, count: int) -> None:
    """Rings once the transaction is committed."""
    # A closure: `robust=True` with functools.partial is broken in Django 5.2.
    transaction.on_commit(lambda: _ring_quietly(lane, count), robust=True)


def _ring_quietly(lane: str, count: int) -> None:
    ring(lane, count)


def is_broker_there() -> bool:
    """Whether the broker answers within half a second or so."""
    try:
        with _connection() as connection:
            connection.default_channel.client.ping()
    except (BrokerError, RedisError, OSError):
        return False
    return True


def _connection() -> Any:
    """A short-lived connection with short timeouts: a frozen broker must not hold up a request,
    and a worker's long timeouts are for another purpose."""
    from celery import current_app

    options = current_app.conf.broker_transport_options | {
        "socket_timeout": PUBLISH_TIMEOUT_SECONDS,
        "socket_connect_timeout": PUBLISH_TIMEOUT_SECONDS,
        "max_retries": 0,
    }
    return current_app.connection_for_write(transport_options=options)


def _publish(lane: str, count: int) -> None:
    from celery import current_app

    with _connection() as connection:
        # One that waits wakes a slot as well as a new one would. Where nobody listens (`work
        # --loop`, long runs in all slots) every ring would leave more behind.
        channel: Any = connection.default_channel
        for _ in range(count - channel.queue_declare(lane).message_count):
            current_app.send_task(TASK, args=[lane], queue=lane, connection=connection, retry=False)
