"""One act on everything that matches: what it takes, what it leaves, and that it adds up."""

import json
import re
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import Organization, User
from apps.accounts.services import create_organization, create_user
from apps.audit.models import AuditEntry
from apps.audit.services import verify_all
from apps.jobs.models import BatchFile, BatchJob, BulkTarget
from apps.queue import worker
from apps.queue.models import Pause, WorkItem
from tests.batches import check_books, submit
from tests.operators import list_of, superuser, told

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("bulk")]


@pytest.fixture
def operator(db: None) -> Client:
    return superuser()


def organizations(count: int) -> list[Organization]:
    owner = create_user(email="owner@example.com", password=None)
    return [create_organization(name=f"Branch {n}", owner=owner) for n in range(count)]


def fields_of(answer: Any) -> dict[str, str]:
    """The hidden fields of a preview."""
    html = answer.content.decode()
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html))


def request(client: Client, of: str, operation: str, query: str = "", **more: str) -> Any:
    """Looks at the preview and confirms it; where that leads."""
    url = f"{list_of(of)}bulk/{operation}/{query}"
    form = fields_of(client.get(url)) | more
    return client.post(url, form, follow=True)


def work() -> WorkItem:
    """Runs what waits in the lane; the newest work."""
    worker.work_off("sync")
    return WorkItem.objects.latest("pk")


def test_all_that_match_are_done_not_only_a_page(operator: Client) -> None:
    branches = organizations(3)
    for number in range(250):
        submit(branches[number % 3], "text")
    BatchJob.objects.filter(pk__in=BatchJob.objects.values("pk")).update(operation="ocr")
    others = [submit(branch, "text") for branch in branches]
    page = operator.get(list_of("batchjob"), {"operation": "ocr"})
    assert len(page.context["cl"].result_list) == 50
    assert "Act on all 250 matching" in page.content.decode()
    shown = operator.get(f"{list_of('batchjob')}bulk/cancel/?operation=ocr")
    assert shown.context["preview"].count == 250
    assert "Cancel: 250 batch jobs" in shown.content.decode()
    answer = request(operator, "batchjob", "cancel", "?operation=ocr", reason="By mistake.")
    assert answer.status_code == 200
    item = work()
    assert (item.state, item.result) == ("succeeded", {"done": 250, "skipped": {}})
    assert set(BatchJob.objects.filter(operation="ocr").values_list("state", flat=True)) == {
        "cancelled"
    }
    for job in others:
        job.refresh_from_db()
        assert job.state == "queued"
    assert not BulkTarget.objects.exists()
    check_books()
    assert not list(verify_all())
