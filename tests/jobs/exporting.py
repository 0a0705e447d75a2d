"""Exports asked for, and built as a worker does."""

from typing import Any, cast

from rest_framework.test import APIClient

from apps.queue.claim import claim
from apps.queue.handlers import Control
from apps.queue.models import WorkItem
from apps.queue.settle import succeed
from apps.queue.work_items import WorkItemHandler
from tests.batches import SOMEBODY
from tests.jobs.forms import accepted, part
from tests.jobs.runs import read_next

EXPORTS = "/api/batch/exports"
GOES_ON = Control(report=lambda _stage, _fraction: None, should_stop=lambda: False)


def ask(api: APIClient, *jobs: str, made: str = "zip") -> Any:
    return api.post(EXPORTS, {"format": made, "jobs": list(jobs)}, format="json")


def asked(api: APIClient, *jobs: str, made: str = "zip") -> dict[str, Any]:
    answer = ask(api, *jobs, made=made)
    assert answer.status_code == 202, answer.content
    return dict(answer.json())


def build_next(control: Control = GOES_ON) -> WorkItem:
    """The best export that waits, built as a worker does."""
    found = claim("export", SOMEBODY)
    assert found is not None, "no export waits"
    item = cast(WorkItem, found[1])
    assert succeed(WorkItemHandler, item, WorkItemHandler().run(item, control))
    return item


def built(api: APIClient, *jobs: str, made: str = "zip") -> dict[str, Any]:
    export = asked(api, *jobs, made=made)
    build_next()
    return dict(api.get(export["url"]).json())


def ended_job(api: APIClient) -> dict[str, Any]:
    """A job that has ended, of two files."""
    made = accepted(api, part(name="one.txt"), part(name="two.txt"))
    read_next("first text")
    read_next("second text")
    return dict(api.get(made["url"]).json())
