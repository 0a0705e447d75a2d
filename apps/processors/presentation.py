"""PPTX by slide, by lxml: xberg reads slides in the order of their files, not of the show.

Sections are those of ECMA-376 part 1; elements are found by local name, for the strict form of
the standard has other namespaces.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from apps.processors.package import Package

TITLES = frozenset({"title", "ctrTitle"})
BESIDE = ("/chart", "/diagramData", "/comments")
"""Ends of the types of relations whose parts hold text that belongs to a slide."""
# Of the page of notes: the picture of the slide and what is printed in the margins.
NO_NOTES = frozenset({"sldImg", "sldNum", "hdr", "ftr", "dt"})
PARAGRAPHS = frozenset({"p", "text", "ser"})
"""`text` is a comment in the older form (19.4.5), `ser` a series of a chart (21.2.2.162)."""


@dataclass(frozen=True)
class Slide:
    title: str
    text: str
    tables: tuple[list[list[str]], ...]
    hidden: bool


def slides(package: Package) -> Iterator[Slide]:
    """In the order of the show (19.2.1.34). Raises etree.XMLSyntaxError, and ValueError when there
    is no presentation or a slide is missing."""
    mains = [*package.related("", "/officeDocument").values()]
    presentation = package.tree(mains[0]) if mains else None
    if presentation is None:
        raise ValueError("no presentation")
    names = package.related(mains[0], "/slide")
    for entry in presentation.iter("{*}sldId"):
        name = names.get(next((v for key, v in entry.attrib.items() if key.endswith("}id")), ""))
        tree = package.tree(name) if name else None
        if name is None or tree is None:
            raise ValueError("a slide is missing")
        yield _slide(package, name, tree)


def _slide(package: Package, name: str, tree: etree._Element) -> Slide:
    lines = [*_lines(tree)]
    for part in package.related(name, "/notesSlide").values():
        for shape in _all(package.tree(part), "sp"):
            kinds = {place.get("type") for place in shape.iter("{*}ph")}
            lines += [] if kinds & NO_NOTES else [*_lines(shape)]
    for kind in BESIDE:
        for part in package.related(name, kind).values():
            other = package.tree(part)
            lines += [] if other is None else [*_lines(other)]
    return Slide(
        title=_title(tree),
        text="\n".join(lines),
        tables=tuple(_rows(table) for table in tree.iter("{*}tbl")),
        hidden=tree.get("show") in ("0", "false"),
    )


def _all(tree: etree._Element | None, name: str) -> Iterator[etree._Element]:
    return iter(()) if tree is None else tree.iter(f"{{*}}{name}")


def _title(tree: etree._Element) -> str:
    for shape in tree.iter("{*}sp"):
        if any(place.get("type") in TITLES for place in shape.iter("{*}ph")):
            return _joined(shape)
    return ""


def _rows(table: etree._Element) -> list[list[str]]:
    # Its own only: what is nested, which no program writes, is read with the cell around it.
    return [
        [_joined(cell) for cell in row.iterchildren("{*}tc")] for row in table.iterchildren("{*}tr")
    ]


def _joined(element: etree._Element) -> str:
    return " ".join(" ".join(_lines(element)).split())


def _lines(element: etree._Element) -> Iterator[str]:
    """Paragraphs and rows of tables, in the order of the file. A second form of the same for older
    programs (part 3, 9.3) is passed over."""
    for child in element.iterchildren("{*}*"):
        local = etree.QName(child).localname
        if local in PARAGRAPHS:
            if text := "".join(_runs(child)).strip():
                yield text
        elif local == "tbl":
            yield from ("\t".join(row).rstrip() for row in _rows(child))
        elif local != "Fallback":
            yield from _lines(child)


def _runs(paragraph: etree._Element) -> Iterator[str]:
    if not len(paragraph):
        yield paragraph.text or ""
    for found in paragraph.iter("{*}t", "{*}br", "{*}v"):
        yield " " if found.tag.endswith("}br") else found.text or ""
        yield " " if found.tag.endswith("}v") else ""
