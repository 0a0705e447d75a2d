"""The doors through which Celery comes in."""

import logging
import time

from celery import shared_task
from django.db import connection

from apps.queue import worker

logger = logging.getLogger(__name__)


@shared_task(name="queue.work")
def work(lane: str) -> None:
    """A doorbell was heard: work the lane off. Never raises; the sweep rings again."""
    try:
        worker.work_off(lane)
    except worker.DATABASE_AWAY as error:
        logger.warning("lane %s: the database is away (%s)", lane, error)
        connection.close()
        time.sleep(worker.DATABASE_RETRY_SECONDS)
