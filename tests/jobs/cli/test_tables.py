from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.jobs.cli.tables import age, files_table, fitted, jobs_table, visible, width

pytestmark = pytest.mark.once

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def a_file(name: str, **more: Any) -> dict[str, Any]:
    times = {"started_at": "2026-05-01T12:00:00Z", "finished_at": "2026-05-01T12:00:01.25Z"}
    return {"name": name, "state": "succeeded", "result": None, "error": None, **times, **more}


def a_job(name: str, **more: Any) -> dict[str, Any]:
    counts = dict.fromkeys(("queued", "running", "retry_wait", "succeeded"), 1) | {"total": 4}
    job = {"id": "0" * 36, "name": name, "state": "running", "operation": "extract"}
    return {**job, "counts": counts, "progress": 0.256, "created_at": NOW.isoformat(), **more}


def test_columns_stand_under_each_other_in_wide_scripts_too() -> None:
    result = {"pages": 3, "words": 12345, "language": "zh", "quality": "full"}
    lines = files_table([a_file("年度報告.pdf", result=result), a_file("a.txt", result=result)])

    assert len({width(line) for line in lines}) == 1
    assert lines[1].split() == ["年度報告.pdf", "succeeded", "3", "12345", "zh", "1.2"]


def test_nothing_is_wider_than_a_hundred_columns() -> None:
    error = {"code": "document.corrupt", "detail": "very " * 60 + "bad"}
    file = a_file("長い" * 60 + ".pdf", state="quarantined", error=error)
    lines = files_table([file]) + jobs_table([a_job("n" * 200)], NOW)

    assert max(map(width, lines)) <= 100
    assert lines[1].split()[0].endswith(".pdf")
    assert " ".join(lines[2].split()).startswith("document.corrupt: very very")


def test_a_partial_result_is_told() -> None:
    result = {"pages": 1, "words": 1, "language": "", "quality": "partial"}

    assert "Only a part" in files_table([a_file("a.pdf", result=result)])[-1]


def test_a_job_in_a_line() -> None:
    line = jobs_table([a_job("Letters")], NOW + timedelta(minutes=3))[1]

    assert line.split() == ["0" * 36, "Letters", "running", "1/4", "25", "3", "min", "extract"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 報.txt", "plain ü 報.txt"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nb\tc", r"a\nb\tc"),
        ("a\u202etxt.exe", r"a\u202etxt.exe"),
        ("a\udc80", r"a\udc80"),
    ],
)
def test_what_moves_the_cursor_is_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("short.txt", 20, "short.txt"),
        ("a-rather-long-name.txt", 14, "a-rathe....txt"),
        ("報告報告報告.pdf", 13, "報告報....pdf"),
    ],
)
def test_names_keep_their_extension(text: str, columns: int, shown: str) -> None:
    assert fitted(text, columns) == shown
    assert width(shown) <= columns


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0 s"), (59.9, "59 s"), (60, "1 min"), (7199, "1 h"), (86400, "1 d"), (9e6, "104 d")],
)
def test_age(seconds: float, shown: str) -> None:
    assert age(seconds) == shown
