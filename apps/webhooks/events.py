"""What endpoints can be told of, and how it is written. Pure.

The form is that of Standard Webhooks (standardwebhooks.com): `type`, `timestamp`, `data`.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

EVENTS = {
    "batch_job.succeeded": "A job ended, and every file succeeded.",
    "batch_job.partial": "A job ended, and some files failed.",
    "batch_job.failed": "A job ended, and no file succeeded.",
    "batch_job.cancelled": "A job was cancelled, and what ran of it has stopped.",
    "batch_file.quarantined": "A file was set aside: reading it broke what read it.",
    "notification.created": "Members were told something, and want it sent here.",
}
"""Each with its meaning, in the order in which they are offered."""
TEST = "webhook.test"
"""Sent only when somebody asks for it, whatever the endpoint wants to be told of."""
USUAL = tuple(event for event in EVENTS if event.startswith("batch_job."))
MAX_BYTES = 20_000
"""Of one message: it has ids and addresses, and who wants more fetches it."""
KEPT = ("id", "job_id", "url")


def message(event: str, at: datetime, data: Mapping[str, Any]) -> str:
    """The body of a message, the same bytes however often it is sent. What would be too long for
    one tells where the whole is."""
    text = _written(event, at, data)
    if len(text.encode()) <= MAX_BYTES:
        return text
    known = {name: data[name] for name in KEPT if name in data}
    return _written(event, at, {**known, "truncated": True})


def _written(event: str, at: datetime, data: Mapping[str, Any]) -> str:
    told = {"type": event, "timestamp": at.isoformat(), "data": data}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))
