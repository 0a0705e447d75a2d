"""Office files: no word of theirs is lost, and none of them does harm."""

import io
from pathlib import Path

import docx
import pptx
import pytest
from msoffcrypto.format.ooxml import OOXMLFile

from apps.processors import properties
from apps.processors.host import ProcessorHost
from apps.processors.office import OfficeProcessor
from tests.processors.office_files import (
    Read,
    packed,
    part_of,
    quick,
    reader,
    refused,
    repacked,
    saved,
    slide_show,
    word_file,
)

pytestmark = pytest.mark.once

DATA = Path(__file__).parents[1] / "data" / "office"


@pytest.fixture(scope="module")
def read(warm: ProcessorHost, tmp_path_factory: pytest.TempPathFactory) -> Read:
    return reader(warm, tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Read:
    return quick(OfficeProcessor(), tmp_path_factory.mktemp("near"))


# --- text documents ---


def test_a_word_file_is_read_from_header_to_footnote(read: Read) -> None:
    extraction = read("docx", word_file(), pages="1")
    for words in (
        *("Headed words", "Footed words", "A heading", "With a box", "Boxed words"),
        *("A line that is noted\n", "Commented words", "The footnote", "The endnote"),
        "שלום עולם, 日本語の文章",
    ):
        assert words in extraction.text
    assert extraction.pages[0].tables == ((("cell 0", "cell 1"), ("cell 2", "cell 3")),)
    assert extraction.metadata["title"] == "Harbour rules"
    assert extraction.metadata["author"] == "Example Ltd"
    assert extraction.metadata["keywords"] == "boats, ropes"
    assert extraction.metadata["created_at"] == "2013-12-23T23:15:00Z"
    assert extraction.engine.startswith("xberg ")
    assert extraction.quality == "full"
    assert extraction.warnings == ("This kind of file has no pages to choose from.",)


ODF = "urn:oasis:names:tc:opendocument:xmlns:"
NAMES = " ".join(
    f'xmlns:{name}="{ODF}{name}:1.0"' for name in ("office", "text", "table", "style", "meta")
) + (
    f' xmlns:draw="{ODF}drawing:1.0" xmlns:presentation="{ODF}presentation:1.0"'
    ' xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dc="http://purl.org/dc/elements/1.1/"'
)
OPEN_TEXT = f"""<office:document-content {NAMES}><office:body><office:text>
<text:tracked-changes><text:changed-region><text:deletion><text:p>Deleted</text:p>
</text:deletion></text:changed-region></text:tracked-changes>
<text:h>A  heading</text:h>
<text:p>One<text:s text:c="2"/>two<text:tab/>three<text:line-break/>four<!-- no
-->five<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>Noted</text:p>
</text:note-body></text:note><office:annotation><dc:creator>A</dc:creator><text:p>Commented</text:p>
</office:annotation> six <text:span>seven</text:span></text:p>
<text:p><draw:frame><draw:text-box><text:p>Framed</text:p></draw:text-box></draw:frame>
<draw:custom-shape><text:p>Shaped</text:p></draw:custom-shape></text:p>
<text:list><text:list-item><text:p>Item</text:p></text:list-item></text:list>
<table:table><table:table-header-rows><table:table-row><table:table-cell><text:p>a</text:p>
<text:p>b</text:p></table:table-cell><table:table-cell/></table:table-row></table:table-header-rows>
<table:table-row table:number-rows-repeated="2"><table:table-cell
table:number-columns-repeated="x"><text:p>c</text:p></table:table-cell><table:covered-table-cell/>
<table:table-cell><text:p>d</text:p></table:table-cell></table:table-row></table:table>
<table:table/>
<draw:frame><draw:object xlink:href="./Object 1"/></draw:frame>
<draw:frame><draw:object xlink:href="./Object 2"/></draw:frame>
</office:text></office:body></office:document-content>"""
FORMULA = '<math xmlns="http://www.w3.org/1998/Math/MathML"><mi>x</mi><mo>=</mo><mn>1</mn></math>'
CHART = f"""<office:document-content {NAMES}><office:body><office:chart><text:p>Charted</text:p>
<draw:object xlink:href="./Object 2"/></office:chart></office:body></office:document-content>"""
STYLES = f"""<office:document-styles {NAMES}><office:master-styles><style:master-page>
<style:header><text:p>Headed</text:p></style:header><style:footer><text:p>Footed</text:p>
</style:footer></style:master-page></office:master-styles></office:document-styles>"""
META = f"""<office:document-meta {NAMES}><office:meta><dc:title>Harbour rules</dc:title>
<meta:keyword>boats</meta:keyword><meta:keyword>ropes</meta:keyword><dc:creator>Example Ltd
</dc:creator><meta:creation-date>yesterday</meta:creation-date><dc:date>2024-03-04T09:30:15.5
</dc:date><meta:document-statistic meta:page-count="3" meta:word-count="0" meta:object-count="1"/>
</office:meta></office:document-meta>"""


def open_document(content: str, kind: str = "text", **parts: str) -> bytes:
    return packed(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": content,
            **{name.replace("__", "/").replace("_", " ") + ".xml": parts[name] for name in parts},
        }
    )


def test_an_open_text_is_read_from_header_to_footnote(read: Read) -> None:
    content = open_document(
        OPEN_TEXT,
        Object_1__content=CHART,
        Object_2__content=FORMULA,
        styles=STYLES,
        meta=META,
    )
    extraction = read("odt", content)
    assert [line for line in extraction.text.split("\n") if line] == [
        "A heading",
        *("One  two\tthree", "fourfive six seven", "Noted", "Commented", "Framed", "Shaped"),
        *("Item", "a b", "c\t\td", "c\t\td", "Charted", "x = 1", "Headed", "Footed"),
    ]
    assert extraction.pages[0].tables == ((("a b", "", ""), ("c", "", "d"), ("c", "", "d")),)
    assert extraction.metadata == {
        "title": "Harbour rules",
        "author": "Example Ltd",
        "keywords": "boats, ropes",
        "modified_at": "2024-03-04T09:30:15.5",
        "pages": "3",
    }
    assert extraction.engine.startswith("lxml ")


def test_notes_and_comments_of_rtf_are_read(read: Read) -> None:
    content = (
        rb"{\rtf1\ansi\ansicpg1252{\info{\upr{\title ??}{\*\ud{\title \u1513\'3f\u1500? rules}}}"
        rb"{\author Caf\'e9}{\keywords}"
        rb"{\creatim\yr2024\mo3\dy4\hr9\min30}}{\header\pard Headed words\par}"
        rb"\pard Rope{\*\footnote\pard The footnote} and caf\'e9{\*\annotation\pard Commented}\par "
        rb"four\_handed {\footnote\pard Another} \u1513?\u1500?\par}"
    )
    extraction = read("rtf", content)
    for words in ("Headed words", "Rope and café", "The footnote", "Commented", "four-handed"):
        assert words in extraction.text
    assert "Another" in extraction.text
    assert "של" in extraction.text
    assert extraction.text.count("Headed") == 1
    assert extraction.metadata["title"] == "של rules"
    assert extraction.metadata["author"] == "Café"
    assert extraction.metadata["created_at"].startswith("2024-03-04T09:30")


@pytest.mark.parametrize(
    ("head", "raw", "title"),
    [
        (rb"", rb"\'cc\'e0\'ff\'ea \{a\}", "Маяк {a}"),
        (rb"", rb"\uc0\u1052 \u1072 \u1103 \u1082 .", "Маяк."),
        (rb"\uc2", rb"\u26412\'96\'7b\u12399\'82\'cd!", "本は!"),
        (rb"", rb"\u-10179?\u-8704? smiles", "😀 smiles"),
        (rb"", "Маяк".encode("cp1251") + b"\r\n.", "Маяк."),
    ],
    ids=["code page", "nothing replaced", "two replaced", "two halves", "bare bytes"],
)
def test_titles_of_rtf(head: bytes, raw: bytes, title: str) -> None:
    content = rb"{\rtf1\ansi\ansicpg1251" + head + rb"{\info{\title " + raw + rb"}}}"
    assert properties.of_rtf(content) == {"title": title}


def test_an_old_word_file_is_read_and_says_what_is_missing(read: Read) -> None:
    extraction = read("doc", (DATA / "rules.doc").read_bytes())
    for words in ("Headed words", "Footed words", "Boxed words", "Commented words", "cell 3"):
        assert words in extraction.text
    assert extraction.metadata["title"] == "Harbour rules"
    assert extraction.metadata["created_at"] == "2013-12-23T23:15:00Z"
    assert extraction.quality == "partial"
    assert extraction.warnings == ("Endnotes, or text boxes in headers, are not read.",)


# --- presentations ---


def test_slides_are_pages_with_titles_notes_and_tables(read: Read) -> None:
    extraction = read("pptx", slide_show())
    first, second, third = extraction.pages
    assert [page.label for page in extraction.pages] == ["The harbour", "Berths", ""]
    assert first.text.split() == ["The", "harbour", "Boats", "Ropes", "Speak", "slowly"]
    assert second.tables == ((("cell 0", "cell 1"), ("cell 2", "cell 3")),)
    assert third.text == "Grouped words"
    assert extraction.metadata["slides"] == "3"
    assert extraction.warnings == ("Hidden slides are read too: 1.",)


def test_comments_and_diagrams_belong_to_their_slide(read: Read) -> None:
    drawing = "http://schemas.openxmlformats.org/drawingml/2006/main"
    content = slide_show()
    name = "ppt/slides/_rels/slide2.xml.rels"
    base = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    relations = part_of(content, name).replace(
        "</Relationships>",
        f'<Relationship Id="c1" Type="{base}/comments" Target="../comments/comment1.xml"/>'
        f'<Relationship Id="d1" Type="{base}/diagramData" Target="../diagrams/data1.xml"/>'
        f'<Relationship Id="g1" Type="{base}/comments" Target="../gone.xml"/></Relationships>',
    )
    comments = (
        '<p:cmLst xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main">'
        "<p:cm><p:text>Commented words</p:text></p:cm></p:cmLst>"
    )
    diagram = (
        f'<d xmlns:a="{drawing}"><a:p><a:r><a:t>Drawn</a:t></a:r><a:br/><a:r><a:t>words</a:t></a:r>'
        "</a:p></d>"
    )
    changed = repacked(
        content,
        {name: relations, "ppt/comments/comment1.xml": comments, "ppt/diagrams/data1.xml": diagram},
    )
    assert read("pptx", changed, pages="2").text.endswith("Drawn words\nCommented words")


def test_slides_are_read_in_the_order_of_the_show(read: Read) -> None:
    show = pptx.Presentation(io.BytesIO(slide_show()))
    order = show.slides._sldIdLst
    order.append(order[0])
    extraction = read("pptx", saved(show))
    assert [page.label for page in extraction.pages] == ["Berths", "", "The harbour"]
    assert "Boats" in extraction.pages[2].text


def test_slides_can_be_chosen(near: Read) -> None:
    content = slide_show()
    assert [page.number for page in near("pptx", content, pages="2-9").pages] == [2, 3]
    assert refused(near, "pptx", content, pages="7").code == "document.pages"


def test_tables_within_tables_of_slides_take_no_time(near: Read) -> None:
    content = slide_show()
    slide = part_of(content, "ppt/slides/slide1.xml")
    inner = "<a:p><a:r><a:t>deep</a:t></a:r></a:p>"
    tables = "<a:tbl><a:tr><a:tc>" * 60 + inner + "</a:tc></a:tr></a:tbl>" * 60
    nested = slide.replace("</p:spTree>", f"{tables}</p:spTree>")
    extraction = near("pptx", repacked(content, {"ppt/slides/slide1.xml": nested}))
    assert extraction.pages[0].text.count("deep") == 1


def test_a_show_without_slides_is_empty(near: Read) -> None:
    assert refused(near, "pptx", saved(pptx.Presentation())).code == "document.empty"


SLIDE = """<draw:page><draw:frame presentation:class="title"><draw:text-box><text:p>The <text:span>
harbour</text:span></text:p></draw:text-box></draw:frame><draw:custom-shape><text:p>Shaped</text:p>
</draw:custom-shape><presentation:notes><draw:frame presentation:class="notes"><draw:text-box>
<text:p>Speak slowly</text:p></draw:text-box></draw:frame><draw:frame
presentation:class="page-number"><draw:text-box><text:p>7
</text:p></draw:text-box></draw:frame></presentation:notes></draw:page><draw:page/>"""


def open_show(slides: str) -> str:
    return (
        f"<office:document-content {NAMES}><office:body><office:presentation>{slides}"
        "</office:presentation></office:body></office:document-content>"
    )


def test_slides_of_an_open_presentation_are_pages(read: Read) -> None:
    extraction = read("odp", open_document(open_show(SLIDE)))
    assert [(page.label, page.text) for page in extraction.pages] == [
        ("The harbour", "The harbour\nShaped\nSpeak slowly"),
        ("", ""),
    ]
    assert extraction.metadata == {"slides": "2"}


def test_too_many_slides_are_refused_unless_some_are_chosen(near: Read) -> None:
    content = open_document(open_show("<draw:page/>" * 2001))
    assert refused(near, "odp", content).code == "document.too_many_pages"
    assert near("odp", content, pages="2001").warnings == ("There is no text in the file.",)


def test_an_old_presentation_is_read(read: Read) -> None:
    extraction = read("ppt", (DATA.parent / "talk.ppt").read_bytes())
    for words in ("What the library lends", "Beans climb best", "Pause, then show the photograph"):
        assert words in extraction.text
    assert extraction.metadata["title"] == "What the library lends"


# --- damage and traps ---


@pytest.mark.parametrize("kind", ["docx", "pptx", "odt", "odp"])
def test_what_can_be_unpacked_of_a_file_cut_short_is_near(near: Read, kind: str) -> None:
    whole = {
        "docx": word_file,
        "pptx": slide_show,
        "odt": lambda: open_document(OPEN_TEXT),
        "odp": lambda: open_document(open_show(SLIDE)),
    }[kind]()
    extraction = near(kind, whole[:-30])
    words = {"docx": "Commented words", "pptx": "Grouped words"}
    assert words.get(kind, "Shaped") in extraction.text
    assert extraction.quality == "partial"
    assert "damaged" in extraction.warnings[0]
    assert extraction.engine.startswith("lxml ")


def test_a_file_cut_within_its_text_is_read_up_to_there(near: Read) -> None:
    document = docx.Document()
    for number in range(3000):
        document.add_paragraph(f"Line {number} of {number * 7919 % 10007}")
    whole = saved(document)
    at = whole.index(b"word/document.xml")
    extraction = near("docx", whole[: at + 9000])
    assert "Line 0 of 0\nLine 1 of 7919\n" in extraction.text
    assert "Line 2999" not in extraction.text


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("docx", b"PK\x03\x04 and no more"),
        ("docx", packed({"word/other.xml": "<x/>"})),
        ("odt", open_document("<x/>")),
        ("odt", open_document("<office:document-content")),
        ("doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 2000),
    ],
)
def test_what_gives_nothing_is_damaged(near: Read, kind: str, content: bytes) -> None:
    error = refused(near, kind, content)
    assert error.code == "document.corrupt"
    assert "damaged" in error.detail


BILLION = (
    '<!DOCTYPE x [<!ENTITY a "lol"><!ENTITY b "'
    + "&a;" * 10
    + '"><!ENTITY c "'
    + "&b;" * 10
    + '">]>'
)
THIEF = '<!DOCTYPE x [<!ENTITY c SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("trap", [BILLION, THIEF], ids=["laughs", "thief"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused(near: Read, trap: str, encoding: str) -> None:
    content = word_file()
    text = part_of(content, "word/document.xml").replace("A heading", "&c;")
    text = text[text.index("<w:document") :]
    trapped = repacked(content, {"word/document.xml": (trap + text).encode(encoding)})
    assert refused(near, "docx", trapped).code == "document.unsafe"
    laughing = open_document(trap + OPEN_TEXT.replace("Item", "&c;"))
    assert refused(near, "odt", laughing).code == "document.unsafe"


def test_damaged_properties_cost_no_text(near: Read) -> None:
    content = word_file()
    damaged = repacked(content, {"docProps/core.xml": "<x", "docProps/app.xml": ""})
    extraction = near("docx", damaged)
    assert "A heading" in extraction.text
    assert extraction.metadata == {}
    assert near("odt", open_document(OPEN_TEXT, meta="<x")).metadata == {}


def test_a_password_opens(near: Read) -> None:
    closed = io.BytesIO()
    OOXMLFile(io.BytesIO(word_file())).encrypt("lantern-7", closed)
    assert "A heading" in near("docx", closed.getvalue(), password="lantern-7").text
    assert refused(near, "docx", closed.getvalue(), password="no").code == "document.password"
    old = (DATA / "locked.doc").read_bytes()
    assert "The lamp is lit" in near("doc", old, password="lantern-7").text
    open_text = (DATA / "locked.odt").read_bytes()
    assert "The lamp is lit" in near("odt", open_text, password="lantern-7").text
