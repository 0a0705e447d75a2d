"""Flat OpenDocument, the source that LibreOffice turns into the formats of office programs."""

from html import escape

from tests.data.make.common import AUTHOR, TEXTS, THE_DAY

SPACES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in {
        "office": "office",
        "text": "text",
        "table": "table",
        "style": "style",
        "draw": "drawing",
        "presentation": "presentation",
        "meta": "meta",
        "number": "datastyle",
        "fo": "xsl-fo-compatible",
        "svg": "svg-compatible",
    }.items()
)
DAY = THE_DAY.strftime("%Y-%m-%dT%H:%M:%S")


def document(
    kind: str, body: str, *, title: str, styles: str = "", master: str = "", language: str = "en"
) -> bytes:
    """`kind`: text, spreadsheet or presentation; `styles` are automatic ones."""
    country = {"en": "GB", "el": "GR", "he": "IL", "ja": "JP"}.get(language, language.upper())
    media_type = f"application/vnd.oasis.opendocument.{kind}"
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<office:document {SPACES} xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:of="urn:oasis:names:tc:opendocument:xmlns:of:1.2"
 office:version="1.3" office:mimetype="{media_type}">
<office:meta><dc:title>{escape(title)}</dc:title><dc:subject>Invented</dc:subject>
<meta:keyword>harbour</meta:keyword><meta:initial-creator>{AUTHOR}</meta:initial-creator>
<dc:creator>{AUTHOR}</dc:creator><meta:creation-date>{DAY}</meta:creation-date>
<dc:date>{DAY}</dc:date></office:meta>
<office:styles><style:default-style style:family="paragraph">
<style:text-properties fo:language="{language}" fo:country="{country}" fo:font-size="11pt"/>
</style:default-style></office:styles>
<office:automatic-styles>
<style:style style:name="Break" style:family="paragraph">
<style:paragraph-properties fo:break-before="page"/></style:style>
{styles}</office:automatic-styles>
<office:master-styles>{master}</office:master-styles>
<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document>""".encode()


def heading(words: str) -> str:
    return f'<text:h text:outline-level="1">{escape(words)}</text:h>'


def paragraphs(name: str, *, style: str = "Standard") -> str:
    """The sentences of a text, each a paragraph of its own."""
    return "".join(
        f'<text:p text:style-name="{style}">{escape(words)}</text:p>' for words in TEXTS[name]
    )


def page_break() -> str:
    return '<text:p text:style-name="Break"/>'


def footnote(name: str) -> str:
    return (
        '<text:note text:id="ftn1" text:note-class="footnote"><text:note-citation>1'
        f"</text:note-citation><text:note-body>{paragraphs(name)}</text:note-body></text:note>"
    )


def comment(name: str) -> str:
    return (
        f"<office:annotation><dc:creator>{AUTHOR}</dc:creator><dc:date>{DAY}</dc:date>"
        f"{paragraphs(name)}</office:annotation>"
    )


def box(name: str) -> str:
    return (
        '<draw:frame text:anchor-type="paragraph" svg:x="9cm" svg:y="1cm" svg:width="6cm" '
        'svg:height="2cm"><draw:text-box>'
        f"{paragraphs(name)}</draw:text-box></draw:frame>"
    )


def table(rows: list[list[str]], name: str = "Table1") -> str:
    """A table of text cells."""
    columns = f'<table:table-column table:number-columns-repeated="{len(rows[0])}"/>'
    return f'<table:table table:name="{name}">{columns}{"".join(map(_row, rows))}</table:table>'


def _row(cells: list[str]) -> str:
    shown = "".join(
        f'<table:table-cell office:value-type="string"><text:p>{escape(cell)}</text:p>'
        "</table:table-cell>"
        for cell in cells
    )
    return f"<table:table-row>{shown}</table:table-row>"


def header_and_footer(header: str, footer: str) -> tuple[str, str]:
    """Automatic styles and master page with these on every page."""
    return (
        '<style:page-layout style:name="Layout"><style:page-layout-properties '
        'fo:page-width="21cm" fo:page-height="29.7cm" fo:margin="2cm"/>'
        "<style:header-style/><style:footer-style/></style:page-layout>",
        '<style:master-page style:name="Standard" style:page-layout-name="Layout">'
        f"<style:header><text:p>{escape(header)}</text:p></style:header>"
        f"<style:footer><text:p>{escape(footer)} <text:page-number/></text:p></style:footer>"
        "</style:master-page>",
    )
