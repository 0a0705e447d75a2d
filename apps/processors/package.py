"""Documents that are ZIP files of XML parts (OOXML, ODF, EPUB): guarded, and part by part."""

import io
import posixpath
import zipfile
from urllib.parse import unquote

from lxml import etree

from apps.processors import archive
from apps.processors.errors import BadDocument

VERSION = f"lxml {'.'.join(map(str, etree.LXML_VERSION[:3]))}"
MAX_TIMES_READ = 8
"""So often all parts together may be asked for; a few references lead to the same, hardly more."""
ANY_PART_BYTES = 1000
"""What any reading costs, be the part ever so small."""
FREE_BYTES = 10 * 1024 * 1024
XML_PARTS = (".xml", ".rels", ".opf", ".ncx", ".xhtml", ".vml")
# A part may be written in UTF-8 or UTF-16 (ECMA-376-2, 8.1.4).
DECLARATIONS = tuple("<!ENTITY".encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be"))


def parser(*, recover: bool = False) -> etree.XMLParser:
    """For XML of strangers: no entity is put in, nothing is fetched, libxml2's own limits hold
    (256 levels, 10 million characters in one piece)."""
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        recover=recover,
    )


def without_entities(tree: etree._Element) -> etree._Element:
    """The same, without references to entities that nothing declares: nodes with no attributes."""
    etree.strip_elements(tree, etree.Entity, with_tail=False)
    return tree


class Package:
    """The parts of one file. Raises BadDocument when its guard does: document.corrupt, saying
    `damaged`, .bomb, .unsafe or .encrypted. One part may be referred to ten thousand times: when
    parts were read far more often than there are any, `part` and what uses it raise
    "document.bomb" too."""

    def __init__(self, content: bytes, damaged: str) -> None:
        try:
            archive.inflate(io.BytesIO(content))
        except archive.Unreadable as error:
            raise BadDocument("document.corrupt", damaged) from error
        self.content = content
        self._zip = zipfile.ZipFile(io.BytesIO(content))
        self.names = frozenset(self._zip.namelist())
        sizes = (ANY_PART_BYTES + member.file_size for member in self._zip.infolist())
        self._left = FREE_BYTES + MAX_TIMES_READ * sum(sizes)
        for name in self.names:
            if name.lower().endswith(XML_PARTS):
                self._refuse_entities(name)

    def _refuse_entities(self, name: str) -> None:
        """No program writes them into a document (the OPC forbids them: ECMA-376-2, 8.1.4)."""
        part = self.part(name)
        if any(declaration in part for declaration in DECLARATIONS):
            raise BadDocument(
                "document.unsafe", "A part of the file declares XML entities, which none may."
            )

    def part(self, name: str) -> bytes:
        """Nothing when there is no such part."""
        if name not in self.names:
            return b""
        part = self._zip.read(name)
        self._left -= ANY_PART_BYTES + len(part)
        if self._left < 0:
            raise BadDocument("document.bomb", "The parts of the file repeat each other too often.")
        return part

    def tree(self, name: str) -> etree._Element | None:
        """Raises etree.XMLSyntaxError on damage; None when there is no such part."""
        part = self.part(name)
        return without_entities(etree.fromstring(part, parser())) if part else None

    def related(self, name: str, kind: str = "") -> dict[str, str]:
        """Parts that the part `name` refers to, by id, of types that end with `kind` (OOXML:
        ECMA-376-2, 8.3). "" is the package itself."""
        folder, base = posixpath.split(name)
        relations = self.tree(posixpath.join(folder, "_rels", f"{base}.rels"))
        if relations is None:
            return {}
        return {
            relation.get("Id", ""): resolved(folder, relation.get("Target", ""))
            for relation in relations
            if relation.get("Type", "").endswith(kind) and relation.get("TargetMode") != "External"
        }


def resolved(folder: str, target: str) -> str:
    """The name of the part that `target`, a reference in `folder`, leads to."""
    path = unquote(target.partition("#")[0])
    return posixpath.normpath(posixpath.join("/", folder, path)).lstrip("/")
