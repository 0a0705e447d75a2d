"""XML, by lxml: without entities of the document's making, other files or the network."""

import html
import re
from collections.abc import Iterator
from typing import Any

from apps.processors.decoding import decode
from apps.processors.errors import BadDocument

MAX_TITLE = 500
MAX_ENTITY = 50
# Of libxml2's xmlerror.h.
UNKNOWN_ENCODING, ENTITY_LOOP, INVALID_ENCODING, RESOURCE_LIMIT = 32, 89, 81, 114
BLANKS = re.compile(r"[^\S\n]+")
SWELLING = "The XML builds its text from entities that could swell without end."
TOO_DEEP = "The XML is nested deeper, or has more in one piece, than can be read safely."


class XmlReader:
    """Constructed before rights are given up, for the library is loaded then."""

    def __init__(self) -> None:
        from lxml import etree  # 0.1 s, and the web process knows the processors too

        self._etree = etree
        self.version = f"lxml {etree.__version__}"
        self.read(b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>")

    def read(self, content: bytes) -> tuple[str, dict[str, str]]:
        """The character data, each element on a line of its own unless it stands within text; and
        metadata: encoding, root (the outermost element), and title where an element is called so.

        Raises BadDocument: document.unsafe for entities that lead to other files or are made of
        entities, and for what is nested more than 256 deep or has 10 MB in one piece;
        document.corrupt with the line.
        """
        root, encoding = self._parsed(content)
        entities = dict(_entities(root.getroottree().docinfo.internalDTD))
        titles = (_tidy(" ".join(found.itertext())) for found in root.iter("{*}title"))
        metadata = {
            "encoding": encoding.lower(),
            "root": self._etree.QName(root).localname,
            "title": " ".join(next(titles, "").split())[:MAX_TITLE],
        }
        text = _tidy("".join(self._pieces(root, entities)))
        return text, {key: value for key, value in metadata.items() if value}

    def _parsed(self, content: bytes) -> tuple[Any, str]:
        try:
            root = self._etree.fromstring(content, self._parser())
        except self._etree.XMLSyntaxError as error:
            if error.code not in (UNKNOWN_ENCODING, INVALID_ENCODING):
                raise _refusal(error) from error
        else:
            return root, root.getroottree().docinfo.encoding or ""
        # What it says of its own encoding is unknown or a lie.
        text, encoding = decode(content)
        try:
            return self._etree.fromstring(text.encode(), self._parser(encoding="utf-8")), encoding
        except self._etree.XMLSyntaxError as error:
            raise _refusal(error) from error

    def _parser(self, **options: str) -> Any:
        return self._etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
            **options,
        )

    def _pieces(self, root: Any, entities: dict[str, str]) -> Iterator[str]:
        """The text in reading order, without recursion: documents are deeper than the stack."""
        node, inline = root, [False]
        while True:
            if node.tag is self._etree.Entity:
                yield entities.get(node.name) or html.unescape(node.text)
            else:
                yield ("" if inline[-1] else "\n") + (node.text or "")
                if (first := next(node.iterchildren(), None)) is not None:
                    inline.append(self._is_mixed(node))
                    node = first
                    continue
            while (following := node.getnext()) is None or node is root:
                yield "" if inline[-1] else "\n"
                if node is root:
                    return
                yield node.tail or ""
                node = node.getparent()
                inline.pop()
            yield ("" if inline[-1] else "\n") + (node.tail or "")
            node = following

    def _is_mixed(self, element: Any) -> bool:
        """Whether there is text between its children."""
        return not _is_blank(element.text) or any(
            child.tag is self._etree.Entity or not _is_blank(child.tail)
            for child in element.iterchildren()
        )


def _entities(dtd: Any) -> Iterator[tuple[str, str]]:
    for entity in dtd.iterentities() if dtd is not None else ():
        value = entity.content
        if value is None:
            raise BadDocument(
                "document.unsafe", "The XML wants to include other files, which are never opened."
            )
        if "&" in value or "<" in value or len(value) > MAX_ENTITY:
            raise BadDocument("document.unsafe", SWELLING)
        yield entity.name, value


def _refusal(error: Any) -> BadDocument:
    if error.code == ENTITY_LOOP or "entity amplification" in error.msg:
        return BadDocument("document.unsafe", SWELLING)
    if error.code == RESOURCE_LIMIT:
        return BadDocument("document.unsafe", TOO_DEEP)
    line, column = error.position
    what = error.msg.partition(f", line {line}")[0]
    return BadDocument(
        "document.corrupt", f"This is no XML from line {line}, column {column} on: {what}."
    )


def _is_blank(text: str | None) -> bool:
    return not text or text.isspace()


def _tidy(text: str) -> str:
    lines = (BLANKS.sub(" ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)
