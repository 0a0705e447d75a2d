"""Workbooks, by LibreOffice, xlsxwriter, openpyxl and SheetJS."""

import datetime
import io
import json
import subprocess
import zipfile
from pathlib import Path

import openpyxl
import xlsxwriter

from tests.data.make import flat
from tests.data.make.common import (
    AUTHOR,
    BROKEN,
    DATA,
    NODE_MODULES,
    PASSWORD,
    TABLES,
    TEXTS,
    THE_DAY,
    convert,
    with_one_date,
    zipped,
)

CALC = {"ods": "calc8", "xls": "MS Excel 97", "xlsx": "Calc MS Excel 2007 XML"}
DAY = THE_DAY.replace(tzinfo=None)
STYLES = """<number:date-style style:name="D"><number:day/><number:text>/</number:text>
<number:month/><number:text>/</number:text><number:year number:style="long"/></number:date-style>
<number:percentage-style style:name="P"><number:number number:decimal-places="0"
 number:min-integer-digits="1"/><number:text>%</number:text></number:percentage-style>
<style:style style:name="Dated" style:family="table-cell" style:data-style-name="D"/>
<style:style style:name="Share" style:family="table-cell" style:data-style-name="P"/>
<style:style style:name="Hidden" style:family="table">
<style:table-properties table:display="false"/></style:style>"""


def make(scratch: Path) -> None:
    source = scratch / "fees.fods"
    source.write_bytes(_fees())
    wanted = [*((DATA / f"fees.{kind}", "") for kind in CALC)]
    wanted += [(BROKEN / f"locked.{kind}", PASSWORD) for kind in ("ods", "xlsx", "xls")]
    convert(
        [
            {
                "source": str(source),
                "target": str(target),
                "filter": CALC[target.suffix[1:]],
                "password": password,
            }
            for target, password in wanted
        ]
    )
    _by_xlsxwriter(DATA / "tides.xlsx")
    _by_openpyxl(DATA / "stores.xlsx")
    for kind in ("xlsb", "xls", "ods"):
        _by_sheetjs(DATA / f"moorings.{kind}")


def _number(value: str) -> str:
    return f'<table:table-cell office:value-type="float" office:value="{value}"/>'


def _string(words: str, attributes: str = "") -> str:
    return (
        f'<table:table-cell office:value-type="string"{attributes}><text:p>{words}</text:p>'
        "</table:table-cell>"
    )


def _row(*cells: str) -> str:
    return f"<table:table-row>{''.join(cells)}</table:table-row>"


def _fees() -> bytes:
    """Sheets: Fees (merged title, numbers, a sum, a date, a share), Tides, Store (hidden)."""
    head, *boats = TABLES["fees"]
    fees = [
        _row(
            _string("Mooring fees in March", ' table:number-columns-spanned="3"'),
            '<table:covered-table-cell table:number-columns-repeated="2"/>',
        ),
        _row(*map(_string, head)),
        *(_row(_string(name), _number(metres), _number(paid)) for name, metres, paid in boats),
        _row(
            _string("Together"),
            '<table:table-cell table:formula="of:=SUM([.B3:.B5])" office:value-type="float"/>',
            '<table:table-cell table:formula="of:=SUM([.C3:.C5])" office:value-type="float"/>',
        ),
        _row(
            _string("Settled on"),
            '<table:table-cell table:style-name="Dated" office:value-type="date" '
            'office:date-value="2024-03-04"/>',
        ),
        _row(
            _string("Share of last year"),
            '<table:table-cell table:style-name="Share" office:value-type="percentage" '
            'office:value="0.85"/>',
        ),
    ]
    body = (
        f'<table:table table:name="Fees">{"".join(fees)}</table:table>'
        + flat.table(TABLES["tides"], "Tides")
        + '<table:table table:name="Store" table:style-name="Hidden">'
        + _row(_string(TEXTS["hidden_sheet"][0]))
        + "</table:table>"
    )
    return flat.document("spreadsheet", body, title="Mooring fees", styles=STYLES)


def _by_xlsxwriter(path: Path) -> None:
    """Formulas with the values that were worked out, dates, times, a link, an error, a comment."""
    book = xlsxwriter.Workbook(str(path))
    book.set_properties(
        {"title": "Tides of the week", "author": AUTHOR, "subject": "Invented", "created": DAY}
    )
    sheet = book.add_worksheet("Tides")
    for at, row in enumerate(TABLES["tides"]):
        sheet.write_row(at, 0, row)
    sums = book.add_worksheet("Sums")
    sums.write_row(0, 0, ["Measured", "Level"])
    dated = book.add_format({"num_format": "d mmm yyyy"})
    for at, level in enumerate((1.25, 2.5, 0.75), 1):
        sums.write_datetime(at, 0, DAY + datetime.timedelta(days=at - 1), dated)
        sums.write_number(at, 1, level)
    sums.write_string(4, 0, "Highest")
    sums.write_formula(4, 1, "=MAX(B2:B4)", None, 2.5)
    sums.write_string(5, 0, "Checked")
    sums.write_boolean(5, 1, True)
    sums.write_comment("A5", TEXTS["note_comment"][0])
    kept = book.add_worksheet("Kept")
    kept.write_url(0, 0, "https://example.com/tides", string="Tables of the year")
    kept.write_string(1, 0, "漁師 and рыбак")
    book.close()
    path.write_bytes(with_one_date(path.read_bytes()))


def _by_openpyxl(path: Path) -> None:
    """Merged cells, a hidden sheet, an empty sheet, and text that looks like a formula."""
    book = openpyxl.Workbook()
    for name, value in {
        "title": "What the store holds",
        "creator": AUTHOR,
        "created": DAY,
        "modified": DAY,
    }.items():
        setattr(book.properties, name, value)
    sheet = book.active
    sheet.title = "Store"
    sheet.append(["Shelf by the door", None, None])
    sheet.merge_cells("A1:C1")
    for row in (["Thing", "Pieces", "Since"], ["Lanterns", 14, DAY], ["Oars", 6, DAY]):
        sheet.append(row)
    hidden = book.create_sheet("Keys")
    hidden["B2"] = TEXTS["hidden_sheet"][0]
    hidden.sheet_state = "hidden"
    book.create_sheet("Empty")
    book.save(path)
    path.write_bytes(with_one_date(path.read_bytes()))


def _by_sheetjs(path: Path) -> None:
    head, *boats = TABLES["fees"]
    order = {
        "title": "Moorings",
        "author": AUTHOR,
        "day": THE_DAY.isoformat(),
        "hidden": [0, 0, 1],
        "sheets": {
            "Boats": [
                head,
                *([name, int(metres), float(paid)] for name, metres, paid in boats),
                ["Together"],
            ],
            "Notes": [[words] for words in [*TEXTS["harbour"], *TEXTS["minato"]]],
            "Keys": [TEXTS["hidden_sheet"]],
        },
        "sums": {"Boats": {"cell": "C5", "formula": "SUM(C2:C4)", "value": 659.75}},
    }
    subprocess.run(
        ["node", Path(__file__).with_name("sheets.js"), path],
        input=json.dumps(order),
        text=True,
        check=True,
        env={"NODE_PATH": NODE_MODULES, "PATH": "/usr/local/bin:/usr/bin:/bin"},
    )
    if path.suffix == ".xlsb":
        path.write_bytes(_with_columns(path.read_bytes()))


def _with_columns(package: bytes) -> bytes:
    """The XLSB again, its cells as Excel writes them, each with its column.

    SheetJS leaves the column out where it follows from the cell before (records 12 to 18 in
    place of 1 to 7; [MS-XLSB] 2.5.9 has the long form).
    """
    with zipfile.ZipFile(io.BytesIO(package)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    return zipped(
        {
            name: _lengthened(content) if name.startswith("xl/worksheets/sheet") else content
            for name, content in members.items()
        }
    )


def _lengthened(records: bytes) -> bytes:
    made, at, column = b"", 0, -1
    while at < len(records):
        kind, at = _variable(records, at)
        size, at = _variable(records, at)
        body, at = records[at : at + size], at + size
        if kind <= 11 and kind:
            column = int.from_bytes(body[:4], "little")
        elif 12 <= kind <= 18:
            column += 1
            kind, body = kind - 11, column.to_bytes(4, "little") + body
        made += _as_variable(kind) + _as_variable(len(body)) + body
    return made


def _variable(records: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    while True:
        value |= (records[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not records[at - 1] & 0x80:
            return value, at


def _as_variable(value: int) -> bytes:
    made = bytearray()
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])
