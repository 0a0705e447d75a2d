"""EPUB: chapters in their order, under their titles."""

import pytest

from apps.processors.office import OfficeProcessor
from tests.processors.office_files import Read, packed, quick, refused

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Read:
    return quick(OfficeProcessor(), tmp_path_factory.mktemp("book"))


OPF = """<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">
<metadata><dc:title>Tides</dc:title><dc:creator>Example Ltd</dc:creator><dc:creator>A. Keeper
</dc:creator><dc:language>en</dc:language><dc:date>2024</dc:date>
<meta property="dcterms:modified">2024-03-04T09:30:15Z</meta><meta name="cover" content="c"/>
</metadata><manifest>
<item id="b" href="text/b%20one.xhtml"/><item id="a" href="text/a.xhtml"/>
<item id="gone" href="text/gone.xhtml"/>
<item id="n" href="nav.xhtml" properties="nav"/><item id="x" href="toc.ncx"
media-type="application/x-dtbncx+xml"/><item id="y" href="no.ncx"
media-type="application/x-dtbncx+xml"/></manifest>
<spine><itemref idref="b"/><itemref idref="a"/><itemref idref="gone"/><itemref idref="no"/></spine>
</package>"""
NAVIGATION = """<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">
<nav epub:type="toc"><a href="text/b%20one.xhtml#top">Chapter <b>one</b></a></nav>
<nav epub:type="landmarks"><a href="text/a.xhtml">Elsewhere</a></nav></html>"""
NCX = """<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>Two
</text></navLabel><content src="text/a.xhtml"/></navPoint><navPoint/></navMap></ncx>"""
CONTAINER = """<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
<rootfile full-path="OPS/book.opf"/></rootfiles></container>"""


def epub(**changed: str) -> bytes:
    parts = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OPS/book.opf": OPF,
        "OPS/nav.xhtml": NAVIGATION,
        "OPS/toc.ncx": NCX,
        "OPS/text/a.xhtml": "<!DOCTYPE html><html><body><p>The ebb&nbsp;comes.</p></body></html>",
        "OPS/text/b one.xhtml": "<html><body><p>The flood comes.</p></body></html>",
    }
    names = {"container": "META-INF/container.xml", "encryption": "META-INF/encryption.xml"}
    return packed({**parts, **{names[name]: part for name, part in changed.items()}})


def test_chapters_of_a_book_are_pages_in_the_order_of_the_spine(near: Read) -> None:
    extraction = near("epub", epub())
    assert [(page.label, page.text.replace("\xa0", " ")) for page in extraction.pages] == [
        ("Chapter one", "The flood comes."),
        ("Two", "The ebb comes."),
        ("", ""),
    ]
    assert extraction.metadata == {
        "title": "Tides",
        "author": "Example Ltd, A. Keeper",
        "language": "en",
        "modified_at": "2024-03-04T09:30:15Z",
    }
    assert extraction.quality == "partial"
    assert extraction.warnings == ("Chapters missing from the file: 1.",)


def locked(name: str) -> str:
    return (
        '<encryption xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:CipherReference '
        f'URI="OPS/{name}"/></encryption>'
    )


def test_closed_chapters_are_refused_and_garbled_fonts_are_not(near: Read) -> None:
    assert (
        refused(near, "epub", epub(encryption=locked("text/a.xhtml"))).code == "document.encrypted"
    )
    assert near("epub", epub(encryption=locked("font.otf"))).page_count == 3


def test_a_book_without_a_list_of_chapters_is_damaged_but_near(near: Read) -> None:
    extraction = near("epub", epub(container="<container/>"))
    assert "The flood comes." in extraction.text
    assert extraction.quality == "partial"


def test_what_can_be_unpacked_of_a_book_cut_short_is_read(near: Read) -> None:
    extraction = near("epub", epub()[:-30])
    assert "The ebb" in extraction.text
    assert extraction.quality == "partial"
    assert refused(near, "epub", packed({"mimetype": "epub"})).code == "document.corrupt"
