"""Spreadsheets: what stands in the cells comes out, and no sheet fills the memory."""

import datetime
import io
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter
from msoffcrypto.format.ooxml import OOXMLFile

from apps.processors import sheets, tables
from apps.processors.host import ProcessorHost
from apps.processors.sheets import SheetProcessor
from tests.processors.office_files import (
    Read,
    packed,
    part_of,
    quick,
    reader,
    refused,
    repacked,
    saved,
)

pytestmark = pytest.mark.once

DATA = Path(__file__).parents[1] / "data" / "office"


@pytest.fixture(scope="module")
def read(warm: ProcessorHost, tmp_path_factory: pytest.TempPathFactory) -> Read:
    return reader(warm, tmp_path_factory.mktemp("sheets"))


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Read:
    return quick(SheetProcessor(), tmp_path_factory.mktemp("near"))


def workbook() -> bytes:
    """Every type of value, merged and empty cells, hidden sheets, comments, a text box."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        form = {name: book.add_format({"num_format": name}) for name in FORMATS}
        fees = book.add_worksheet("Fees")
        fees.write(1, 1, "Boat")
        fees.write(1, 2, "two\nlines\tand a tab")
        fees.write_datetime(2, 1, datetime.date(2024, 3, 4), form["yyyy-mm-dd"])
        fees.write_datetime(2, 2, datetime.datetime(2024, 3, 4, 9, 30, 15), form["d.m.yy hh:mm"])
        fees.write_datetime(2, 3, datetime.time(9, 30), form["hh:mm"])
        fees.write_number(2, 4, 1.75, form["[h]:mm:ss"])
        fees.write_number(3, 1, 0.255, form["0.0%"])
        fees.write_boolean(3, 2, boolean=True)
        fees.write_formula(3, 3, "=1/0", None, "#DIV/0!")
        fees.write_formula(3, 4, "=20+1", None, 21)
        fees.write_number(4, 1, 0.1 + 0.2)
        fees.merge_range(6, 1, 7, 2, "merged")
        fees.write_comment(1, 1, "Commented words")
        fees.insert_textbox(10, 1, "Boxed words")
        book.add_worksheet("Hidden").hide()
        book.get_worksheet_by_name("Hidden").write(0, 0, "לא נראה")
        book.add_worksheet("Empty").very_hidden()
        book.set_properties({"title": "Harbour fees", "author": "Example Ltd"})
    return buffer.getvalue()


FORMATS = ("yyyy-mm-dd", "d.m.yy hh:mm", "hh:mm", "[h]:mm:ss", "0.0%")


def test_sheets_are_pages_and_rows_are_lines(read: Read) -> None:
    extraction = read("xlsx", workbook())
    fees, hidden, empty = extraction.pages
    assert fees.text.split("\n") == [
        "Boat\ttwo lines and a tab",
        "2024-03-04\t2024-03-04T09:30:15\t09:30:00\tPT42H00M00S",
        "0.255\tTRUE\t#DIV/0!\t21",
        "0.3",
        "",
        "merged",
        "[B2] Commented words",
        "Boxed words",
    ]
    assert fees.tables[0][0] == ("Boat", "two\nlines\tand a tab", "", "")
    assert (hidden.label, hidden.text, empty.text) == ("Hidden", "לא נראה", "")
    assert extraction.warnings == ("Hidden sheets are read too: Hidden, Empty.",)
    assert extraction.metadata["title"] == "Harbour fees"
    assert extraction.metadata["author"] == "Example Ltd"
    assert extraction.metadata["sheets"] == "3"
    assert extraction.engine.startswith("calamine ")
    assert extraction.quality == "full"


def test_sheets_can_be_chosen(near: Read) -> None:
    content = workbook()
    assert [page.label for page in near("xlsx", content, pages="2").pages] == ["Hidden"]
    assert near("xlsx", content, pages="3").warnings[-1] == "There is no text in the file."
    assert refused(near, "xlsx", content, pages="4").code == "document.pages"


def test_comments_of_the_newer_kind_replace_the_older(read: Read) -> None:
    content = workbook()
    name = "xl/worksheets/_rels/sheet1.xml.rels"
    relations = part_of(content, name).replace(
        "</Relationships>",
        '<Relationship Id="t1" Type="http://schemas.microsoft.com/office/2017/10/relationships/'
        'threadedComment" Target="../threadedComments/threadedComment1.xml"/></Relationships>',
    )
    comments = (
        '<ThreadedComments xmlns="http://schemas.microsoft.com/office/spreadsheetml/2018/'
        'threadedcomments"><threadedComment ref="B2"><text>Asked</text></threadedComment>'
        '<threadedComment ref="B2"><text>Answered</text></threadedComment></ThreadedComments>'
    )
    changed = {name: relations, "xl/threadedComments/threadedComment1.xml": comments}
    text = read("xlsx", repacked(content, changed)).pages[0].text
    assert "[B2] Asked\n[B2] Answered\n" in text
    assert "Commented words" not in text


NAMES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for name in ("office", "table", "text")
) + (
    ' xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"'
    ' xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"'
)


def open_sheet(rows: str, **parts: str) -> bytes:
    return packed(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "content.xml": (
                f"<office:document-content {NAMES}><office:body><office:spreadsheet>"
                f'<table:table table:name="Fees">{rows}</table:table></office:spreadsheet>'
                "</office:body></office:document-content>"
            ),
            "META-INF/manifest.xml": "<manifest/>",
            **parts,
        }
    )


def cell(text: str, attributes: str = 'office:value-type="string"') -> str:
    return f"<table:table-cell {attributes}><text:p>{text}</text:p></table:table-cell>"


def test_an_open_spreadsheet_is_read_with_errors_comments_and_shapes(read: Read) -> None:
    note = (
        '<table:table-cell office:value-type="string"><office:annotation><text:p>Noted</text:p>'
        "</office:annotation><text:p>Boat</text:p></table:table-cell>"
    )
    shape = (
        "<table:table-cell><draw:custom-shape><text:p>Shaped</text:p><text:p/></draw:custom-shape>"
        "</table:table-cell>"
    )
    fault = cell("#DIV/0!", 'office:value-type="string" calcext:value-type="error"')
    far = '<table:table-cell table:number-columns-repeated="27"/>'
    empty = (
        '<table:table-row table:number-rows-repeated="1048000"><table:table-cell '
        'table:number-columns-repeated="16384"/></table:table-row>'
    )
    content = open_sheet(
        f"<table:table-row>{far}{note}{cell('berth')}</table:table-row>"
        f"<table:table-row>{far}{fault}{cell('x')}{shape}</table:table-row>{empty}"
    )
    extraction = read("ods", content)
    assert extraction.text.split("\n") == ["Boat\tberth", "#DIV/0!\tx", "[AB1] Noted", "Shaped"]
    assert extraction.metadata == {"sheets": "1"}


def test_an_open_spreadsheet_written_in_many_lines_is_read(read: Read) -> None:
    rows = f"<table:table-row>\n  {cell('Boat')}\n  {cell('berth 7')}\n</table:table-row>\n"
    extraction = read("ods", open_sheet(f"\n{rows}"))
    assert extraction.text == "Boat\tberth 7"
    assert extraction.quality == "full"


def test_old_workbooks_open_with_their_password(near: Read) -> None:
    content = (DATA / "locked.xls").read_bytes()
    extraction = near("xls", content, password="lantern-7")
    assert extraction.text == "lamp\tlit\n1\tTRUE"
    assert extraction.metadata["author"] == "openpyxl"
    assert refused(near, "xls", content).code == "document.encrypted"


def test_open_spreadsheets_open_with_their_password(near: Read) -> None:
    content = (DATA / "locked.ods").read_bytes()
    assert near("ods", content, password="lantern-7").text == "lamp\tlit\n1\t1"
    assert refused(near, "ods", content, password="no").code == "document.password"


def test_a_workbook_that_excel_opens_by_itself_needs_no_password(read: Read) -> None:
    closed = io.BytesIO()
    OOXMLFile(io.BytesIO(workbook())).encrypt("VelvetSweatshop", closed)
    assert "Boat" in read("xlsx", closed.getvalue()).text


# --- damage and traps ---


def corners(*, beside: bool) -> bytes:
    book = openpyxl.Workbook()
    book.active["A1"] = "here"
    book.active["XFD1048576"] = "there"
    if beside:
        book.create_sheet("Small")["A1"] = "fine"
    return saved(book)


def test_a_sheet_that_fills_too_much_is_not_loaded(near: Read) -> None:
    extraction = near("xlsx", corners(beside=True))
    assert [page.text for page in extraction.pages] == ["", "fine"]
    assert extraction.quality == "partial"
    assert extraction.warnings == ("Filling more than 5,000,000 cells and not read: Sheet.",)
    assert refused(near, "xlsx", corners(beside=False)).code == "document.bomb"


@pytest.mark.parametrize("part", ["<c " * 300_000, '<c t="e" ' + 'r="A1" ' * 150_000 + "<"])
def test_cells_that_do_not_end_take_no_time(near: Read, part: str) -> None:
    content = repacked(corners(beside=False), {"xl/worksheets/sheet1.xml": part})
    assert refused(near, "xlsx", content).code == "document.corrupt"


def test_a_part_that_is_referred_to_without_end_is_refused(near: Read) -> None:
    relation = '<Relationship Id="r{}" Type="a/comments" Target="../comments1.xml"/>'
    content = repacked(
        corners(beside=True),
        {
            "xl/worksheets/_rels/sheet1.xml.rels": "<Relationships>"
            + "".join(map(relation.format, range(100)))
            + "</Relationships>",
            "xl/comments1.xml": f"<comments>{'x' * 400_000}</comments>",
        },
    )
    error = refused(near, "xlsx", content)
    assert error.code == "document.bomb"
    assert "repeat each other" in error.detail


def test_an_entity_that_nothing_declares_is_passed_over(near: Read) -> None:
    content = open_sheet(f"<table:table-row>&no;{cell('here')}&no;</table:table-row>")
    tree = part_of(content, "content.xml")
    start = tree.index("<office:document-content")
    tree = f'{tree[:start]}<!DOCTYPE a SYSTEM "a">{tree[start:]}'
    assert near("ods", repacked(content, {"content.xml": tree})).text == "here"


def test_an_open_sheet_that_repeats_a_cell_without_end_is_not_loaded(near: Read) -> None:
    repeated = 'office:value-type="string" table:number-columns-repeated="16384"'
    rows = f'<table:table-row table:number-rows-repeated="1048576">{cell("x", repeated)}'
    assert refused(near, "ods", open_sheet(f"{rows}</table:table-row>")).code == "document.bomb"


def test_what_is_beyond_the_bounds_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "MAX_CELLS", 10)
    book = openpyxl.Workbook()
    for row in range(4):
        book.active.append([f"{row}-{column}" for column in range(4)])
    opened = sheets._workbook(saved(book), "xlsx")
    reading = sheets._Reader(opened, sheets.Book({}, {}))
    assert reading._page(1).text == "0-0\t0-1\t0-2\t0-3\n1-0\t1-1\t1-2\t1-3"
    assert reading.partial
    assert "missing are parts of Sheet." in next(iter(reading.warnings))


def test_large_tables_are_text_only(near: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_CELLS", 19)
    extraction = near("xlsx", workbook())
    assert "merged" in extraction.text
    assert not any(page.tables for page in extraction.pages)
    assert extraction.warnings[-1] == "Tables beyond 19 cells are kept as text only."


def test_a_damaged_sheet_costs_only_itself(near: Read) -> None:
    content = workbook()
    damaged = repacked(content, {"xl/worksheets/sheet2.xml": "<worksheet><sheetData><row></x>"})
    extraction = near("xlsx", damaged)
    assert "Boat" in extraction.text
    assert extraction.quality == "partial"
    assert extraction.warnings[0] == "Damaged and not read: Hidden."


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [("xlsx", workbook()[:-30], "merged"), ("ods", open_sheet(cell("berth"))[:-30], "berth")],
)
def test_what_can_be_unpacked_of_a_file_cut_short_is_near(
    near: Read, kind: str, content: bytes, words: str
) -> None:
    extraction = near(kind, content)
    assert words in extraction.text
    assert extraction.quality == "partial"
    assert extraction.engine.startswith("lxml ")


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("xlsx", packed({"xl/other.xml": "<x/>"})),
        ("xlsx", repacked(workbook(), {"xl/workbook.xml": "<x", "xl/sharedStrings.xml": ""})),
        ("xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 2000),
        ("xlsb", b"PK\x03\x04 and no more"),
    ],
)
def test_what_gives_nothing_is_damaged(near: Read, kind: str, content: bytes) -> None:
    assert refused(near, kind, content).code == "document.corrupt"


def test_entities_are_refused(near: Read) -> None:
    content = workbook()
    trap = '<!DOCTYPE x [<!ENTITY c SYSTEM "file:///etc/passwd">]><sst><si><t>&c;</t></si></sst>'
    assert refused(near, "xlsx", repacked(content, {"xl/sharedStrings.xml": trap})).code == (
        "document.unsafe"
    )
