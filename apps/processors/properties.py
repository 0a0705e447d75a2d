"""What a document says of itself: title, author, dates, how many pages, as its format keeps it.

Pure: bytes in, the keys of `Extraction.metadata` out. Damaged properties are left out, never an
error, for the text is what counts.
"""

import datetime
import io
import re

from lxml import etree

from apps.processors.package import Package

# ECMA-376-2, 11 (core properties) and ECMA-376-1, 22.2 (extended ones), by local names: the
# strict form of the standard has other namespaces.
CORE = {
    "title": "title",
    "creator": "author",
    "subject": "subject",
    "keywords": "keywords",
    "created": "created_at",
    "modified": "modified_at",
}
EXTENDED = {"Pages": "pages", "Slides": "slides", "Words": "words"}
# ODF 1.3 part 3, 4.3
ODF_META = {
    "title": "title",
    "initial-creator": "author",
    "subject": "subject",
    "creation-date": "created_at",
    "date": "modified_at",
}
ODF_COUNTS = {"page-count": "pages", "word-count": "words"}
# [MS-OLEPS] 3.1, by the names olefile gives
OLE_TEXTS = ("title", "author", "subject", "keywords")
OLE_DATES = {"create_time": "created_at", "last_saved_time": "modified_at"}
OLE_COUNTS = {"num_pages": "pages", "slides": "slides", "num_words": "words"}
CODE_PAGES = {1200: "utf-16-le", 65001: "utf-8"}  # others are called cp and their number
# Texts of the group \info of RTF 1.9, those in Unicode (\ud) after those in the code page.
RTF_CODE_PAGE = re.compile(rb"\\ansicpg(\d{1,5})")
RTF_TEXT = re.compile(rb"\{\\(title|author|subject|keywords)(?![a-z]) ?((?:[^{}\\]|\\.)*)\}", re.S)
RTF_REPLACEMENTS = re.compile(rb"\\uc(\d)(?!\d)")
"""How many characters follow each one in Unicode, for readers that know none (\\ucN)."""
RTF_HEX = re.compile(rb"\\'([0-9a-fA-F]{2})")
RTF_LETTER = (
    rb"\\u(-?\d{1,6}) ?(?:\\'[0-9a-fA-F]{2}|[^\\\r\n]){0,%d}"
    rb"|((?:\\'[0-9a-fA-F]{2}|[\x80-\xff])+)"
    rb"|\\([{}\\])|\\[a-z]+-?\d* ?|[\r\n]"
)
RTF_INFO_WITHIN = 200_000
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?)?")
COUNT = re.compile(r"\d{1,9}")
MAX_VALUE = 2000


def of_ooxml(package: Package) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind, wanted in (("/core-properties", CORE), ("/extended-properties", EXTENDED)):
        for name in _related(package, kind):
            found |= _named(_tree(package, name), wanted)
    return tidied(found)


def of_odf(package: Package) -> dict[str, str]:
    """Of presentations the number of slides is not kept, of texts that of pages is."""
    meta = _tree(package, "meta.xml")
    found = _named(meta, ODF_META)
    if meta is None:
        return {}
    if "author" not in found:
        found |= _named(meta, {"creator": "author"})
    found["keywords"] = ", ".join(text for text in _texts(meta, "keyword") if text)
    for statistic in meta.iter("{*}document-statistic"):
        for name, value in statistic.attrib.items():
            key = ODF_COUNTS.get(etree.QName(name).localname)
            if key:
                found[key] = str(value)
    return tidied(found)


def of_ole(content: bytes) -> dict[str, str]:
    """The summary information of DOC, XLS and PPT ([MS-OLEPS])."""
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(content)) as container:
            raw = container.get_metadata()
    except Exception:  # noqa: BLE001 (olefile raises anything over a damaged container)
        return {}
    found = {key: _decoded(getattr(raw, key), raw.codepage) for key in OLE_TEXTS}
    for theirs, ours in OLE_DATES.items():
        date = getattr(raw, theirs)
        if isinstance(date, datetime.datetime) and date.year > 1601:  # the zero of its calendar
            found[ours] = f"{date:%Y-%m-%dT%H:%M:%S}Z"
    for theirs, ours in OLE_COUNTS.items():
        if getattr(raw, theirs):
            found[ours] = str(getattr(raw, theirs))
    return tidied(found)


def of_rtf(content: bytes) -> dict[str, str]:
    """The texts of its information; dates come from elsewhere."""
    start = content.find(b"{\\info")
    if start < 0:
        return {}
    head = content[: min(start, RTF_INFO_WITHIN)]
    named = RTF_CODE_PAGE.search(head)
    codepage = int(named[1]) if named else 1252
    replacements = RTF_REPLACEMENTS.search(head)
    return {
        found[1].decode(): _rtf_text(
            found[2], codepage, RTF_REPLACEMENTS.search(found[2]) or replacements
        )
        for found in RTF_TEXT.finditer(content, start, start + RTF_INFO_WITHIN)
    }


def _rtf_text(raw: bytes, codepage: int, replacements: re.Match[bytes] | None) -> str:
    def letter(match: re.Match[bytes]) -> bytes:
        number, in_code_page, escaped = match.groups(b"")
        if number:
            return chr(int(number) & 0xFFFF).encode("utf-8", "surrogatepass")
        if in_code_page:
            plain = RTF_HEX.sub(lambda pair: bytes.fromhex(pair[1].decode()), in_code_page)
            return _decoded(plain, codepage).encode()
        return escaped

    pattern = RTF_LETTER % (int(replacements[1]) if replacements else 1)
    text = re.sub(pattern, letter, raw).decode("utf-8", "surrogatepass")
    # What lies beyond U+FFFF is written as two halves.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def tidied(found: dict[str, str]) -> dict[str, str]:
    """Without what is empty, too long, or not what its key says."""
    kept = {}
    for key, value in found.items():
        text = " ".join(value.split())[:MAX_VALUE]
        if key.endswith("_at") and not ISO_DATE.match(text):
            continue
        if key in ("pages", "slides", "words") and not (COUNT.fullmatch(text) and int(text)):
            continue
        if text:
            kept[key] = text
    return kept


def _related(package: Package, kind: str) -> list[str]:
    try:
        return list(package.related("", kind).values())
    except etree.XMLSyntaxError:
        return []


def _tree(package: Package, name: str) -> etree._Element | None:
    try:
        return package.tree(name)
    except etree.XMLSyntaxError:
        return None


def _named(tree: etree._Element | None, wanted: dict[str, str]) -> dict[str, str]:
    """The first text of each element, by our keys."""
    found = {}
    for theirs, ours in wanted.items():
        text = next(iter(_texts(tree, theirs)), "") if tree is not None else ""
        if text:
            found[ours] = text
    return found


def _texts(tree: etree._Element, name: str) -> list[str]:
    return ["".join(element.itertext()) for element in tree.iter(f"{{*}}{name}")]


def _decoded(value: object, codepage: object) -> str:
    """Up to the first NUL. Texts are bytes in the code page that the properties name, a signed
    number of 16 bits, or are decoded already, by olefile and sometimes too far."""
    text = value if isinstance(value, str) else ""
    if isinstance(value, bytes):
        number = codepage & 0xFFFF if isinstance(codepage, int) else 1252
        try:
            text = value.decode(CODE_PAGES.get(number, f"cp{number}"), "replace")
        except LookupError:
            text = value.decode("cp1252", "replace")
    return text.partition("\x00")[0]
