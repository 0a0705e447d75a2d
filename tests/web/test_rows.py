"""What lists tell of jobs, in words."""

import pytest

from apps.jobs.models import BatchFile
from apps.web.rows import reason


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
