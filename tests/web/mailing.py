"""What the pages put in line to be mailed, and what comes of it."""

import re
from typing import Any
from urllib.parse import urlsplit

from django.core import mail

from apps.queue.handlers import Control
from apps.queue.models import WorkItem
from apps.queue.work_items import run_of

NEVER_STOPS = Control(report=lambda *_: None, should_stop=lambda: False)


def deliver() -> list[Any]:
    """Runs what waits in the lane, as a worker does; the new mails."""
    before = len(mail.outbox)
    for item in WorkItem.objects.filter(lane="email").order_by("pk"):
        assert run_of(item.kind)(item, NEVER_STOPS) == {}
        item.delete()
    return mail.outbox[before:]


def link_in(message: Any) -> str:
    """The path of the only link of a mail, besides the site itself."""
    found = re.findall(r"http://localhost:8000/(\S+)", message.body)
    assert len(found) == 1, message.body
    return "/" + urlsplit(found[0]).geturl()
