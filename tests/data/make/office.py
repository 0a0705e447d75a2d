"""Text documents and presentations, by LibreOffice, python-docx and python-pptx."""

import io
from pathlib import Path

import docx
import pptx
from pptx.util import Cm

from tests.data.make import compound, flat
from tests.data.make.common import (
    AUTHOR,
    BROKEN,
    DATA,
    PASSWORD,
    TABLES,
    TEXTS,
    THE_DAY,
    convert,
    with_one_date,
)

WRITER = {
    "odt": "writer8",
    "docx": "MS Word 2007 XML",
    "doc": "MS Word 97",
    "rtf": "Rich Text Format",
    "pdf": "writer_pdf_Export",
    "epub": "EPUB",
}
IMPRESS = {"odp": "impress8", "pptx": "Impress MS PowerPoint 2007 XML", "ppt": "MS PowerPoint 97"}
TWO_COLUMNS = """<style:style style:name="Columns" style:family="section">
<style:section-properties><style:columns fo:column-count="2" fo:column-gap="1cm">
<style:column style:rel-width="1*"/><style:column style:rel-width="1*"/></style:columns>
</style:section-properties></style:style>"""
RIGHT_TO_LEFT = """<style:style style:name="Rtl" style:family="paragraph">
<style:paragraph-properties style:writing-mode="rl-tb" fo:text-align="end"/></style:style>"""


def make(scratch: Path) -> None:
    """`scratch`: a folder for sources that are not kept."""
    sources = {
        "logbook": _logbook(),
        "hafenbericht": _bericht(),
        "two-columns": _two_columns(),
        "goats": _goats(),
        "short": flat.document("text", flat.paragraphs("library"), title="Library rules"),
        **{
            name: flat.document("text", flat.paragraphs(name), title=title, language=code)
            for name, title, code in (
                ("more", "Маяк", "ru"),
                ("las", "Las", "pl"),
                ("thalassa", TEXTS["thalassa"][0], "el"),
                ("minato", "港", "ja"),
            )
        },
        "namal": flat.document(
            "text",
            flat.paragraphs("namal", style="Rtl"),
            title="הנמל",
            styles=RIGHT_TO_LEFT,
            language="he",
        ),
        "talk": _talk("en", ["library", "garden"], "What the library lends"),
        "charla": _talk("es", ["receta"], "La sopa fría"),
    }
    for name, content in sources.items():
        (scratch / name).with_suffix(".fodt").write_bytes(content)
    _save(scratch)
    (DATA / "letter.docx").write_bytes(_letter())
    (DATA / "mina.docx").write_bytes(_arabic())
    (DATA / "lamp-talk.pptx").write_bytes(_lamp_talk())


def _save(scratch: Path) -> None:
    wanted = [
        *(f"logbook.{kind}" for kind in ("odt", "docx", "doc", "rtf")),
        *(f"hafenbericht.{kind}" for kind in ("odt", "pdf")),
        *("two-columns.pdf", "goats.epub", "more.rtf", "more.doc", "las.docx", "thalassa.odt"),
        *("minato.pdf", "namal.pdf", "talk.odp", "talk.ppt", "charla.pptx"),
    ]
    orders = [_order(scratch, name, DATA / name) for name in wanted]
    orders += [
        _order(scratch, f"short.{kind}", BROKEN / f"locked.{kind}", PASSWORD)
        for kind in ("odt", "docx", "doc")
    ]
    convert(orders)
    talk = DATA / "talk.ppt"
    talk.write_bytes(compound.without_thumbnail(talk.read_bytes()))


def _order(scratch: Path, name: str, target: Path, password: str = "") -> dict[str, str]:
    kind = target.suffix[1:]
    return {
        "source": str((scratch / name).with_suffix(".fodt")),
        "target": str(target),
        "filter": {**WRITER, **IMPRESS}[kind],
        "password": password,
    }


def _logbook() -> bytes:
    first, *rest = TEXTS["harbour"]
    body = (
        flat.heading("A week at the mole")
        + f"<text:p>{flat.box('text_box')}{first}{flat.footnote('note_foot')}</text:p>"
        + "".join(f"<text:p>{words}</text:p>" for words in rest)
        + f"<text:p>{flat.comment('note_comment')}{TEXTS['weather'][0]}</text:p>"
        + flat.table(TABLES["tides"])
        + flat.paragraphs("garden")
    )
    styles, master = flat.header_and_footer("Logbook of the pilot boat", "Sheet")
    return flat.document("text", body, title="A week at the mole", styles=styles, master=master)


def _bericht() -> bytes:
    styles, master = flat.header_and_footer("Hafenamt Musterstadt", "Blatt")
    body = (
        flat.heading("Bericht des Hafenmeisters")
        + flat.paragraphs("hafen")
        + flat.page_break()
        + flat.table(TABLES["tides"])
        + flat.page_break()
        + flat.paragraphs("aushang")
    )
    return flat.document(
        "text",
        body,
        title="Bericht des Hafenmeisters",
        styles=styles,
        master=master,
        language="de",
    )


def _two_columns() -> bytes:
    columns = "".join(flat.paragraphs(name) for name in ("harbour", "bread", "weather", "garden"))
    section = f'<text:section text:style-name="Columns" text:name="S">{columns}</text:section>'
    body = flat.heading("Notes from the coast") + section
    return flat.document("text", body, title="Notes from the coast", styles=TWO_COLUMNS)


def _goats() -> bytes:
    chapters = {"The road": "chapter_one", "The button": "chapter_two", "The well": "chapter_three"}
    body = "".join(flat.heading(name) + flat.paragraphs(of) for name, of in chapters.items())
    return flat.document("text", body, title="The island of goats")


def _talk(language: str, names: list[str], title: str) -> bytes:
    slides = [
        _slide(1, f"<text:p>{title}</text:p>", "speaker"),
        *(
            _slide(number, flat.paragraphs(name), "speaker_two" if number == 2 else "")
            for number, name in enumerate(names, 2)
        ),
    ]
    return flat.document(
        "presentation",
        "".join(slides),
        title=title,
        language=language,
        styles='<style:page-layout style:name="P"><style:page-layout-properties '
        'fo:page-width="28cm" fo:page-height="21cm"/></style:page-layout>',
        master='<style:master-page style:name="M" style:page-layout-name="P"/>',
    )


def _slide(number: int, words: str, notes: str) -> str:
    frame = '<draw:frame svg:x="2cm" svg:y="{}cm" svg:width="20cm" svg:height="6cm"{}>'
    said = (
        "<presentation:notes>"
        + frame.format(12, ' presentation:class="notes"')
        + f"<draw:text-box>{flat.paragraphs(notes)}</draw:text-box></draw:frame>"
        + "</presentation:notes>"
        if notes
        else ""
    )
    return (
        f'<draw:page draw:name="Slide {number}" draw:master-page-name="M">'
        + frame.format(3, "")
        + f"<draw:text-box>{words}</draw:text-box></draw:frame>{said}</draw:page>"
    )


def _letter() -> bytes:
    document = docx.Document()
    _describe(document.core_properties, "Answer to the chandler")
    section = document.sections[0]
    section.header.paragraphs[0].text = "Office of the harbour master"
    section.footer.paragraphs[0].text = "Written on the old machine"
    document.add_heading("Answer to the chandler", 1)
    for words in TEXTS["mail_reply"]:
        said = document.add_paragraph(words)
    document.add_comment(said.runs, text=TEXTS["note_comment"][0], author=AUTHOR)
    for words in TEXTS["bread"]:
        document.add_paragraph(words, style="List Bullet")
    rows = TABLES["fees"]
    table = document.add_table(rows=len(rows), cols=len(rows[0]))
    for row, cells in zip(table.rows, rows, strict=True):
        for cell, words in zip(row.cells, cells, strict=True):
            cell.text = words
    return _saved(document)


def _arabic() -> bytes:
    document = docx.Document()
    _describe(document.core_properties, "الميناء")
    for words in TEXTS["mina"]:
        paragraph = document.add_paragraph()
        paragraph.paragraph_format.element.get_or_add_pPr().append(
            docx.oxml.parse_xml(
                '<w:bidi xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"/>'
            )
        )
        paragraph.add_run(words).font.rtl = True
    return _saved(document)


def _lamp_talk() -> bytes:
    talk = pptx.Presentation()
    _describe(talk.core_properties, "The lamp on the pier")
    opening = talk.slides.add_slide(talk.slide_layouts[0])
    opening.shapes.title.text = "The lamp on the pier"
    opening.placeholders[1].text = TEXTS["harbour"][0]
    opening.notes_slide.notes_text_frame.text = TEXTS["speaker"][0]
    listed = talk.slides.add_slide(talk.slide_layouts[1])
    listed.shapes.title.text = "What the weather did"
    listed.placeholders[1].text = "\n".join(TEXTS["weather"])
    shown = talk.slides.add_slide(talk.slide_layouts[5])
    shown.shapes.title.text = "Tides of the week"
    rows = TABLES["tides"]
    table = shown.shapes.add_table(len(rows), 3, Cm(2), Cm(5), Cm(20), Cm(6)).table
    for at, cells in enumerate(rows):
        for column, words in enumerate(cells):
            table.cell(at, column).text = words
    shown.notes_slide.notes_text_frame.text = TEXTS["speaker_two"][0]
    last = talk.slides.add_slide(talk.slide_layouts[6])
    group = last.shapes.add_group_shape()
    for top, words in enumerate(TEXTS["library"]):
        group.shapes.add_textbox(Cm(2), Cm(2 + 3 * top), Cm(20), Cm(2)).text_frame.text = words
    return _saved(talk)


def _describe(properties: object, title: str) -> None:
    for name, value in {
        "title": title,
        "author": AUTHOR,
        "subject": "Invented",
        "keywords": "harbour",
        "created": THE_DAY,
        "modified": THE_DAY,
        "last_modified_by": AUTHOR,
    }.items():
        setattr(properties, name, value)


def _saved(document: object) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return with_one_date(buffer.getvalue())
