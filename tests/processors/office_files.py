"""Makers of office files, and one way to have them read by a real child."""

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import docx
import pptx
import pytest
from docx.oxml import parse_xml
from pptx.util import Inches

from apps.processors.errors import BadDocument
from apps.processors.host import ProcessorHost
from apps.processors.protocol import Document, Extraction, Options, Processor
from apps.processors.registry import processor_path_for
from tests.processors.conftest import BUDGET

Read = Callable[..., Extraction]
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
NAMESPACES = (
    f'xmlns:w="{WORD}" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
)
BOX = (
    f'<w:r {NAMESPACES}><w:drawing><wp:inline><a:graphic><a:graphicData uri="http://schemas.'
    'microsoft.com/office/word/2010/wordprocessingShape"><wps:wsp><wps:txbx><w:txbxContent><w:p>'
    "<w:r><w:t>Boxed words</w:t></w:r></w:p></w:txbxContent></wps:txbx></wps:wsp></a:graphicData>"
    "</a:graphic></wp:inline></w:drawing></w:r>"
)


def reader(host: ProcessorHost, folder: Path) -> Read:
    """`read("docx", content, password="...")`, and whatever else goes into options."""

    def read(kind: str, content: bytes, **options: object) -> Extraction:
        source = folder / "document"
        source.write_bytes(content)
        done: list[float] = []
        extraction = host.run(
            processor=processor_path_for("extract", kind),
            source=source,
            name=f"document.{kind}",
            kind=kind,
            options=Options.parse(options),
            owner="a",
            budget=BUDGET,
            on_progress=lambda finished, total, note: done.append(finished / total),
            should_stop=lambda: False,
        ).extraction
        assert done == sorted(done)
        assert done[-1] == 1.0
        return extraction

    return read


def quick(processor: Processor, folder: Path) -> Read:
    """The same without a child, which is quicker."""

    def read(kind: str, content: bytes, **options: object) -> Extraction:
        source = folder / "document"
        source.write_bytes(content)
        document = Document(source, f"document.{kind}", kind, Options.parse(options))
        return processor.run(document, lambda done, total, note, page=None: None)

    return read


def refused(read: Read, kind: str, content: bytes, **options: object) -> BadDocument:
    with pytest.raises(BadDocument) as caught:
        read(kind, content, **options)
    return caught.value


def saved(document: Any) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def packed(parts: Mapping[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for name, part in parts.items():
            package.writestr(name, part)
    return buffer.getvalue()


def repacked(content: bytes, changed: Mapping[str, bytes | str]) -> bytes:
    """The same package with parts changed or added."""
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        parts: dict[str, bytes | str] = {name: package.read(name) for name in package.namelist()}
    return packed({**parts, **changed})


def part_of(content: bytes, name: str) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        return package.read(name).decode()


def word_file() -> bytes:
    """Text in every place where Word keeps some, and properties."""
    document = docx.Document()
    section = document.sections[0]
    section.header.paragraphs[0].text = "Headed words"
    section.footer.paragraphs[0].text = "Footed words"
    document.add_heading("A heading", 1)
    document.add_paragraph("With a box").add_run()._r.addnext(parse_xml(BOX))
    table = document.add_table(2, 2)
    for number, cell in enumerate(table._cells):
        cell.text = f"cell {number}"
    run = document.add_paragraph("A line that is noted").runs[0]
    document.add_comment(run, text="Commented words", author="A", initials="A")
    run._r.addnext(
        parse_xml(
            f'<w:r {NAMESPACES}><w:footnoteReference w:id="2"/><w:endnoteReference w:id="2"/></w:r>'
        )
    )
    document.add_paragraph("שלום עולם, 日本語の文章")
    document.core_properties.title = "Harbour rules"
    document.core_properties.author = "Example Ltd"
    document.core_properties.keywords = "boats, ropes"
    content = saved(document)
    types = part_of(content, "[Content_Types].xml")
    relations = part_of(content, "word/_rels/document.xml.rels")
    parts = {}
    for kind in ("footnote", "endnote"):
        types = types.replace(
            "</Types>",
            f'<Override PartName="/word/{kind}s.xml" ContentType="application/vnd.openxmlformats-'
            f'officedocument.wordprocessingml.{kind}s+xml"/></Types>',
        )
        relations = relations.replace(
            "</Relationships>",
            f'<Relationship Id="r{kind}" Type="{RELATIONS}/{kind}s" Target="{kind}s.xml"/>'
            "</Relationships>",
        )
        parts[f"word/{kind}s.xml"] = (
            f'<w:{kind}s {NAMESPACES}><w:{kind} w:id="2"><w:p><w:r><w:t>The {kind}</w:t></w:r>'
            f"</w:p></w:{kind}></w:{kind}s>"
        )
    parts |= {"[Content_Types].xml": types, "word/_rels/document.xml.rels": relations}
    return repacked(content, parts)


def slide_show() -> bytes:
    """A slide with notes, one with a table, one hidden with grouped boxes and no title."""
    show = pptx.Presentation()
    first = show.slides.add_slide(show.slide_layouts[1])
    first.shapes.title.text = "The harbour"
    first.placeholders[1].text = "Boats\nRopes"
    first.notes_slide.notes_text_frame.text = "Speak slowly"
    second = show.slides.add_slide(show.slide_layouts[5])
    second.shapes.title.text = "Berths"
    table = second.shapes.add_table(2, 2, 0, 0, Inches(3), Inches(1)).table
    for number in range(4):
        table.cell(*divmod(number, 2)).text = f"cell {number}"
    third = show.slides.add_slide(show.slide_layouts[6])
    group = third.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, 100, 100).text_frame.text = "Grouped words"
    third._element.set("show", "0")
    show.core_properties.title = "A tour"
    return saved(show)
