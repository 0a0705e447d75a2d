"""Small promises of the pages that nothing else would notice to be broken."""

import re

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Organization, User
from apps.jobs.models import BatchFile
from apps.queue.states import State
from apps.web.rows import nobody_works
from tests.batches import claimed, submit
from tests.conftest import ClientFor
from tests.jobs.runs import fail_next
from tests.web.file_pages import shown


def current(browser: Client, path: str) -> list[str]:
    """The addresses that the navigation marks as the place one is at."""
    html = browser.get(path, headers={"accept": "text/html"}).content.decode()
    return re.findall(r'<a href="([^"]+)"[^>]* aria-current="page"', html)


def test_the_navigation_knows_where_one_is(alice: User, client_for: ClientFor) -> None:
    browser = client_for(alice)
    marked = {path: current(browser, path) for path in ("/", "/jobs", "/api", "/api/batch/jobs")}
    assert marked == {"/": ["/"], "/jobs": ["/jobs"], "/api": ["/api"], "/api/batch/jobs": ["/api"]}


def test_a_stage_alone_is_news_of_a_file(
    alice: User, acme: Organization, client_for: ClientFor
) -> None:
    submit(acme, "text")
    file, browser = claimed(), client_for(alice)
    found = re.search(r'hx-get="(/files/[^"]+)"', shown(browser, file))
    assert found
    poll = found[1].replace("&amp;", "&")
    assert browser.get(poll, headers={"HX-Request": "true"}).status_code == 204
    BatchFile.objects.filter(pk=file.pk).update(stage="page 2")
    assert browser.get(poll, headers={"HX-Request": "true"}).status_code == 200


def test_the_page_of_a_file_reads_no_traceback_for_who_may_not_see_it(
    bob: User, acme: Organization, client_for: ClientFor
) -> None:
    submit(acme, "text")
    file = fail_next()
    browser = client_for(bob)
    with CaptureQueriesContext(connection) as seen:
        shown(browser, file)
    assert not [query for query in seen.captured_queries if "traceback" in query["sql"]]


def test_files_that_some_worker_takes_are_not_stuck(db: None) -> None:
    from apps.queue.models import WorkerNode

    WorkerNode.objects.create(id="7" * 32, host="here", pid=1, lanes=["ocr"], slots=1)
    waits = (State.QUEUED, "default")
    assert nobody_works([waits])
    assert not nobody_works([waits, (State.QUEUED, "ocr")])
    assert not nobody_works([waits, (State.RUNNING, "default")])
    assert not nobody_works([(State.SUCCEEDED, "default")])
