"""EPUB by chapter, in the order of its spine: the package by lxml, the chapters by resiliparse."""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from apps.processors import html
from apps.processors.errors import BadDocument
from apps.processors.package import Package, parser, resolved
from apps.processors.properties import tidied

CONTAINER = "META-INF/container.xml"
ENCRYPTION = "META-INF/encryption.xml"
# EPUB 3.3, 5.5: Dublin Core, and `dcterms:modified` as a property.
DC = "{http://purl.org/dc/elements/1.1/}"
DUBLIN_CORE = {
    "title": "title",
    "creator": "author",
    "subject": "keywords",
    "description": "subject",
    "language": "language",
    "date": "created_at",
}
NAVIGATION = "{http://www.idpf.org/2007/ops}type"


@dataclass(frozen=True)
class Chapter:
    label: str
    text: str


class Book:
    """Raises BadDocument "document.encrypted", etree.XMLSyntaxError on damage, and ValueError when
    there is no list of chapters."""

    def __init__(self, package: Package) -> None:
        self._package = package
        container = package.tree(CONTAINER)
        root = None if container is None else container.find(".//{*}rootfile")
        name = "" if root is None else root.get("full-path", "")
        opf = package.tree(name)
        if opf is None:
            raise ValueError("no package document")
        self._opf = opf
        self._folder = posixpath.dirname(name)
        self._items = {item.get("id", ""): item for item in opf.iterfind(".//{*}item")}
        self.names = [
            self._part(item)
            for entry in opf.iterfind(".//{*}itemref")
            if (item := self._items.get(entry.get("idref", ""))) is not None
        ]
        self._refuse_locked()
        self._labels = self._contents()

    def chapters(self) -> Iterator[Chapter]:
        """Those that are missing are empty, so that the others keep their places."""
        for name in self.names:
            part = self._package.part(name)
            text = html.visible_text(html.decoded(part)[0])[0] if part else ""
            yield Chapter(self._labels.get(name, ""), text)

    def metadata(self) -> dict[str, str]:
        found = {}
        for theirs, ours in DUBLIN_CORE.items():
            values = [element.text or "" for element in self._opf.iter(f"{DC}{theirs}")]
            several = ours in ("author", "keywords")
            found[ours] = ", ".join(values) if several else next(iter(values), "")
        for meta in self._opf.iter("{*}meta"):
            if meta.get("property") == "dcterms:modified":
                found["modified_at"] = meta.text or ""
        return tidied(found)

    def _part(self, item: etree._Element) -> str:
        return resolved(self._folder, item.get("href", ""))

    def _refuse_locked(self) -> None:
        """Fonts are often garbled on purpose, which does no harm; closed chapters are another
        matter, and no password of the reader opens them."""
        closed = self._package.tree(ENCRYPTION)
        if closed is None:
            return
        names = {resolved("", e.get("URI", "")) for e in closed.iter("{*}CipherReference")}
        if names & set(self.names):
            raise BadDocument(
                "document.encrypted", "The book is protected against copying and cannot be read."
            )

    def _contents(self) -> dict[str, str]:
        """The titles of chapters, by part, from the table of contents of EPUB 3 or else 2."""
        labels: dict[str, str] = {}
        for item in self._items.values():
            is_navigation = "nav" in item.get("properties", "").split()
            if is_navigation or item.get("media-type") == "application/x-dtbncx+xml":
                part = self._package.part(self._part(item))
                tree = etree.fromstring(part, parser(recover=True)) if part else None
                folder = posixpath.dirname(self._part(item))
                for target, label in () if tree is None else _entries(tree):
                    labels.setdefault(resolved(folder, target), label)
        return labels


def _entries(tree: etree._Element) -> Iterator[tuple[str, str]]:
    for point in tree.iter("{*}navPoint"):
        content, label = point.find("{*}content"), point.find("{*}navLabel")
        if content is not None and label is not None:
            yield content.get("src", ""), _joined(label)
    for navigation in tree.iter("{*}nav"):
        if navigation.get(NAVIGATION) == "toc":
            for link in navigation.iter("{*}a"):
                yield link.get("href", ""), _joined(link)


def _joined(element: etree._Element) -> str:
    return " ".join("".join(element.itertext()).split())
