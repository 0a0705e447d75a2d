"""The page of a job whose files had others in them."""

import re

import pytest
from django.test import Client

from apps.accounts.models import Organization, User
from apps.web.job_page import PER_PAGE
from tests.conftest import ClientFor
from tests.jobs.containers import open_next, submit_files, zip_of
from tests.jobs.runs import read_next
from tests.web.job_pages import shown, text_of, url


@pytest.fixture
def browser(alice: User, client_for: ClientFor) -> Client:
    return client_for(alice)


def rows_of(html: str) -> list[int]:
    return [int(number) for number in re.findall(r'<tr role="row" id="file-(\d+)">', html)]


def test_a_found_file_says_where(browser: Client, acme: Organization) -> None:
    job = submit_files(acme, {"all <1>.zip": zip_of("one")})
    open_next({"deep/a.txt": b"first"})
    html = shown(browser, job)
    assert "deep/a.txt in all &lt;1&gt;.zip" in text_of(html)
    assert "all &lt;1&gt;.zip 1 file inside" in text_of(html)
    assert "1 of 2 done" in text_of(html)
    read_next()
    assert "2 of 2 done" in text_of(shown(browser, job))


def test_many_files_are_shown_in_parts(browser: Client, acme: Organization) -> None:
    job = submit_files(acme, {"all.zip": zip_of("one")})
    open_next({f"{number}.txt": b"text" for number in range(PER_PAGE + 49)})
    first = shown(browser, job)
    assert rows_of(first) == list(range(1, PER_PAGE + 1))
    assert f'href="{url(job)}?page=2"' in first
    assert "1 to 100 of 150" in text_of(first)
    assert "page=" not in re.search(r'hx-get="([^"]+)"', first)[1]  # type: ignore[index]
    second = shown(browser, job, "?page=2")
    assert rows_of(second) == list(range(PER_PAGE + 1, PER_PAGE + 51))
    assert f'href="{url(job)}"' in second
    assert "page=2" in re.search(r'hx-get="([^"]+)"', second)[1]  # type: ignore[index]
    assert 'id="next"' not in second


def test_a_choice_of_state_has_parts_of_its_own(browser: Client, acme: Organization) -> None:
    job = submit_files(acme, {"all.zip": zip_of("one")})
    open_next({f"{number}.txt": b"text" for number in range(PER_PAGE + 10)})
    read_next()
    waiting = shown(browser, job, "?state=queued&page=2")
    assert rows_of(waiting) == list(range(PER_PAGE + 3, PER_PAGE + 12))
    assert f'href="{url(job)}?state=queued"' in waiting
    assert rows_of(shown(browser, job, "?state=succeeded&page=7")) == [1, 2]
    assert rows_of(shown(browser, job, "?page=none")) == list(range(1, PER_PAGE + 1))
