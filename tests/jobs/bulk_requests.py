"""Asking for bulk actions as staff do, and having them done."""

import re
from typing import Any

from django.test import Client

from apps.accounts.models import Organization
from apps.accounts.services import create_organization, create_user
from apps.core.ids import uuid7
from apps.jobs.models import BatchFile, BatchJob
from apps.queue import worker
from apps.queue.models import WorkItem
from tests.batches import submit
from tests.operators import list_of


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
    """Jobs of one waiting file each; all but the first are copies, which are quick to make. None
    waits for another."""
    first = submit(organization, "text")
    BatchFile.objects.filter(job=first).update(work_key="")
    file = BatchFile.objects.get(job=first)
    jobs = [first]
    for _ in range(count - 1):
        jobs.append(BatchJob.objects.get(pk=first.pk))
        jobs[-1].pk = uuid7()
    BatchJob.objects.bulk_create(jobs[1:])
    files = []
    for job in jobs[1:]:
        files.append(BatchFile.objects.get(pk=file.pk))
        files[-1].pk, files[-1].job = uuid7(), job
    BatchFile.objects.bulk_create(files)
    BatchJob.objects.filter(pk__in=[job.pk for job in jobs]).update(**changed)
    return jobs
