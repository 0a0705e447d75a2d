"""One act on everything that matches: what it takes, what it leaves, and that it adds up."""

import re
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import Organization
from apps.accounts.services import create_organization, create_user
from apps.audit.services import verify_all
from apps.core.ids import uuid7
from apps.jobs.models import BatchFile, BatchJob, BulkTarget
from apps.queue import worker
from apps.queue.models import WorkItem
from tests.batches import submit
from tests.operators import list_of, superuser

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


def many(organization: Organization, count: int, **changed: object) -> list[BatchJob]:
    """Jobs of one waiting file each; all but the first are copies, which are quick to make."""
    first = submit(organization, "text")
    file = BatchFile.objects.get(job=first)
    jobs = [first]
    for _ in range(count - 1):
        jobs.append(BatchJob.objects.get(pk=first.pk))
        jobs[-1].pk = uuid7()
    BatchJob.objects.bulk_create(jobs[1:])
    files = []
    for job in jobs[1:]:
        files.append(BatchFile.objects.get(pk=file.pk))
        files[-1].pk, files[-1].job, files[-1].waits_for_id = uuid7(), job, file.pk
    BatchFile.objects.bulk_create(files)
    BatchJob.objects.filter(pk__in=[job.pk for job in jobs]).update(**changed)
    return jobs


def test_all_that_match_are_done_not_only_a_page(operator: Client) -> None:
    branches = organizations(3)
    for branch, count in zip(branches, (100, 100, 50), strict=True):
        many(branch, count, operation="ocr")
    others = [submit(branch, "text") for branch in branches]
    page = operator.get(list_of("batchjob"), {"operation": "ocr"})
    assert len(page.context["cl"].result_list) == 50
    assert "Act on all 250 matching" in page.content.decode()
    shown = operator.get(f"{list_of('batchjob')}bulk/keep/?operation=ocr")
    assert shown.context["preview"].count == 250
    assert dict(shown.context["preview"].organizations) == {
        "Branch 0": 100,
        "Branch 1": 100,
        "Branch 2": 50,
    }
    assert "Keep: 250 batch jobs" in shown.content.decode()
    answer = request(operator, "batchjob", "keep", "?operation=ocr", reason="An audit.")
    assert answer.status_code == 200
    item = work()
    assert (item.state, item.result) == ("succeeded", {"done": 250, "skipped": {}})
    assert BatchJob.objects.filter(is_kept=True, operation="ocr").count() == 250
    assert not BatchJob.objects.filter(pk__in=[job.pk for job in others], is_kept=True).exists()
    assert not BulkTarget.objects.exists()
    assert not list(verify_all())
