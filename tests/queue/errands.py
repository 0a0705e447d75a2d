"""Kinds of background work to test with."""

from collections.abc import Callable
from typing import Any

from apps.accounts.models import User
from apps.queue.handlers import Control
from apps.queue.models import WorkItem
from apps.queue.work_items import submit_work

SCRIPT: list[Callable[[WorkItem, Control], dict[str, Any]]] = []
"""What the next run does; the last of them is repeated."""


def run(item: WorkItem, control: Control) -> dict[str, Any]:
    script = SCRIPT.pop(0) if len(SCRIPT) > 1 else SCRIPT[0]
    return script(item, control)


def say_hello(item: WorkItem, control: Control) -> dict[str, Any]:
    control.report("greeting", 0.5)
    return {"said": f"hello {item.payload.get('name', '')}".strip()}


def errand(by: User | None = None, **payload: object) -> WorkItem:
    item, _ = submit_work(by=by, kind="errand", title="Say hello", payload=payload)
    return item
