"""The page on processors tells the truth: its example runs, its tables are complete."""

import re
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from apps.processors.errors import BadDocument
from apps.processors.host import ProcessorHost
from apps.processors.kinds import KINDS
from apps.processors.registry import operations, processor_path_for, processors
from tests.processors.conftest import Do

pytestmark = pytest.mark.once

PAGE = (Path(__file__).parents[2] / "docs" / "processors.md").read_text()
EXAMPLE = re.compile(r"<!-- example: (\S+) -->\n```python\n(.*?)```", re.DOTALL)
KIND_ROW = re.compile(r"^\| (\w+) \| ((?:\.\w+ ?)+) \| ([\w, ]+) \|", re.MULTILINE)


def test_the_example_is_found_checked_and_run(
    do: Do, host: ProcessorHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = EXAMPLE.search(PAGE)
    assert found
    name, code = found.groups()
    (tmp_path / name).write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    tally = "tally.TallyProcessor"
    assert f"EXTRA_PROCESSORS={tally}" in PAGE
    with override_settings(PROCESSORS=[tally, *processors()]):
        assert "tally" in operations()
        assert processor_path_for("tally", "txt") == tally
        assert run_checks(tags=["processors"]) == []
    outcome = do("one\ntwo\nthree\n", processor=tally)
    assert outcome.extraction.text == "3 lines"
    with pytest.raises(BadDocument, match="not a single line"):
        do("", processor=tally)


def test_the_table_of_kinds_is_complete() -> None:
    rows = {
        kind: (tuple(extensions.split()), set(offered.split(", ")))
        for kind, extensions, offered in KIND_ROW.findall(PAGE)
    }
    offered = {
        kind: {
            operation
            for processor in processors().values()
            if kind in processor.accepts
            for operation in processor.operations
        }
        for kind in KINDS
    }
    assert rows == {name: (kind.extensions, offered[name]) for name, kind in KINDS.items()}
