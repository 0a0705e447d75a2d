"""What lists tell of jobs, in words."""

import pytest
from django.test import Client

from apps.accounts.models import Organization
from apps.jobs.models import BatchFile
from apps.web.rows import reason
from tests.jobs.containers import submit_files
from tests.jobs.runs import read_next


@pytest.mark.once
def test_reasons() -> None:
    told = BatchFile(name="a.pdf", error_detail="The PDF is damaged.")
    of_one = "<bdi>a.pdf</bdi>: <bdi>The PDF is damaged.</bdi>"
    assert reason([told]) == of_one
    assert reason([told, told]) == f"{of_one} (and 1 more)"
    assert reason([BatchFile(name="<b>.pdf")]) == "<bdi>&lt;b&gt;.pdf</bdi>"
    short, long = "n" * 36 + ".pdf", "begin" * 20 + "the end.pdf"
    assert reason([BatchFile(name=short)]) == f"<bdi>{short}</bdi>"
    assert reason([BatchFile(name=long)]) == "<bdi>beginbeginbeginbeginbeginb…inthe end.pdf</bdi>"


def test_a_job_whose_files_were_all_read_before(alice_web: Client, acme: Organization) -> None:
    submit_files(acme, {"first.txt": b"the same"})
    read_next()
    submit_files(acme, {"second.txt": b"the same"})
    page = alice_web.get("/jobs").content.decode()
    [again, first] = page.split("<tbody")[1].split("</tr>")[:2]
    assert "at once" in again
    assert "under 1 s" in first
