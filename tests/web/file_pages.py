"""Pages of files to test with, as a person reads them."""

import html
import re
from typing import Any

from django.test import Client

from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, BatchJob
from apps.processors.protocol import Extraction, Page
from apps.queue.handlers import Output
from apps.queue.retry import Usage
from apps.queue.settle import succeed
from tests.batches import Scripted, claimed


def shown(client: Client, file: BatchFile, query: str = "") -> str:
    """The page, which must be there."""
    answer = client.get(f"/files/{file.pk}{query}")
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def words(page: str) -> str:
    """What a person reads of the content, in one line."""
    main = page[page.index('<main id="main"') :]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def document(page: str) -> str:
    """The text that is shown, as it came."""
    found = re.search(r'<div class="document[^>]*>(.*?)</div>', page, re.DOTALL)
    assert found, words(page)
    return html.unescape(found[1])


def only_file(job: BatchJob | dict[str, Any]) -> BatchFile:
    return BatchFile.objects.get(job=job["id"] if isinstance(job, dict) else job)


def read_pages(*pages: Page, usage: Usage | None = None, **more: Any) -> BatchFile:
    """The best waiting file, read as `pages`."""
    file = claimed()
    extraction = Extraction(pages=pages, kind=file.kind, engine="script 1", **more)
    output = Output(Scripted()._store(extraction), usage or Usage())
    assert succeed(BatchFileHandler, file, output)
    return file
