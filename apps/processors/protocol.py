"""What a processor is given and what it gives back. Pure; both sides of the child's pipe use it."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

OCR_MODES = ("auto", "never", "force")
MAX_LANGUAGES = 5
LANGUAGE_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{1,31}")
MAX_PASSWORD = 200
MAX_LABEL = 200
MAX_MEMBER_NAME = 1000
MAX_MEMBERS = 500
MAX_LANGUAGE = 16
MAX_PAGE_NUMBER = 2**31 - 1
MAX_SAID = 100
"""So many entries of metadata, and so many warnings, are kept."""
MAX_SAID_CHARACTERS = 10_000
"""Of each: a name in a document may be megabytes long."""
PAGE_RANGES = re.compile(r"\d{1,6}(-\d{1,6})?(,\d{1,6}(-\d{1,6})?){0,99}")


class OptionError(ValueError):
    """An option that cannot be used: `field` names it, `detail` is a sentence for a person."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


@dataclass(frozen=True)
class Options:
    """What the submitter may choose.

    `languages` are Tesseract codes (eng, deu) for OCR, best first; none means English. `pages`
    is a list such as "1-3,7", counted from 1; "" is all. `ocr` is auto, never or force.
    `password` opens protected documents; nothing shows, stores or compares it in clear.
    """

    languages: tuple[str, ...] = ()
    pages: str = ""
    ocr: str = "auto"
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, raw: Mapping[str, object]) -> "Options":
        """Options from decoded JSON. Raises OptionError for unknown keys and unusable values.

        Whether a language is installed is not known here; see `registry.languages`.
        """
        for key in raw:
            if key not in ("languages", "pages", "ocr", "password"):
                raise OptionError(str(key), "There is no such option.")
        return cls(
            languages=_languages(raw.get("languages", ())),
            pages=_pages(raw.get("pages", "")),
            ocr=_ocr(raw.get("ocr", "auto")),
            password=_password(raw.get("password", "")),
        )

    def to_json(self) -> dict[str, object]:
        """All but the password: this is stored, shown, and made part of keys."""
        return {"languages": list(self.languages), "pages": self.pages, "ocr": self.ocr}

    def for_child(self) -> dict[str, object]:
        """All of them, for the pipe to the process that reads the document."""
        return {**self.to_json(), "password": self.password}

    def page_numbers(self, count: int) -> list[int]:
        """The chosen pages of a document of `count` pages, ascending, without repetition."""
        if not self.pages:
            return list(range(1, count + 1))
        chosen: set[int] = set()
        for first, last in _ranges(self.pages):
            chosen.update(range(first, min(last, count) + 1))
        return sorted(chosen)


def _languages(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(code, str) for code in value):
        raise OptionError("languages", 'This is a list of language codes such as ["eng", "deu"].')
    if len(value) > MAX_LANGUAGES:
        raise OptionError("languages", f"At most {MAX_LANGUAGES} languages can be given.")
    for code in value:
        if not LANGUAGE_CODE.fullmatch(code):
            raise OptionError("languages", f"{code[:40]!r} is not a language code.")
    return tuple(dict.fromkeys(value))


def _pages(value: object) -> str:
    if not isinstance(value, str):
        raise OptionError("pages", 'This is a text such as "1-3,7".')
    pages = value.replace(" ", "")
    if pages and not PAGE_RANGES.fullmatch(pages):
        raise OptionError("pages", 'This is a list of page numbers and ranges such as "1-3,7".')
    if any(first < 1 or last < first for first, last in _ranges(pages)):
        raise OptionError("pages", "Pages count from 1, and a range ends at or after its start.")
    return pages


def _ocr(value: object) -> str:
    if value not in OCR_MODES:
        raise OptionError("ocr", f"This is one of {', '.join(OCR_MODES)}.")
    return str(value)


def _password(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_PASSWORD or "\x00" in value:
        raise OptionError("password", f"This is a text of at most {MAX_PASSWORD} characters.")
    return clean(value)


def _ranges(pages: str) -> list[tuple[int, int]]:
    parts = (part.partition("-") for part in pages.split(",") if part)
    return [(int(first), int(last or first)) for first, _, last in parts]


@dataclass(frozen=True)
class Document:
    """One file to read: `path` on disk, `name` as the submitter gave it, `kind` from `kinds`.

    `wants_searchable`: give a PDF with the text that OCR finds laid over the pictures, if you can.
    """

    path: Path
    name: str
    kind: str
    options: Options = Options()
    wants_searchable: bool = False


Table = tuple[tuple[str, ...], ...]
"""Rows of cells, as text."""


@dataclass(frozen=True)
class Page:
    """Text of one page, sheet, slide, chapter or part of a message.

    `number` counts from 1; `label` is what the document calls it (a sheet's name, a slide's
    title); `confidence` is the OCR's own, 0 to 100. What stands in `tables` stands in the text too.
    """

    number: int
    text: str
    ocr: bool = False
    confidence: float | None = None
    label: str = ""
    tables: tuple[Table, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", clean(self.text))
        object.__setattr__(self, "label", clean(self.label)[:MAX_LABEL])
        if self.tables:
            tables = tuple(tuple(tuple(map(clean, row)) for row in table) for table in self.tables)
            object.__setattr__(self, "tables", tables)

    @cached_property
    def words(self) -> int:
        """Kept, for the host asks while it waits for the next page, and again for the sum."""
        return len(self.text.split())

    def to_json(self) -> dict[str, object]:
        """{number, text, ocr}, and confidence, label and tables where there are any."""
        shown: dict[str, object] = {"number": self.number, "text": self.text, "ocr": self.ocr}
        if self.confidence is not None:
            shown["confidence"] = self.confidence
        if self.label:
            shown["label"] = self.label
        if self.tables:
            shown["tables"] = self.tables
        return shown

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Page":
        confidence = raw.get("confidence")
        number = int(raw["number"])
        if not 0 < number <= MAX_PAGE_NUMBER:
            raise ValueError(number)
        return cls(
            number=number,
            text=str(raw["text"]),
            ocr=bool(raw["ocr"]),
            confidence=None if confidence is None else _percentage(confidence),
            label=str(raw.get("label", "")),
            tables=tuple(
                tuple(tuple(map(str, row)) for row in table) for table in raw.get("tables", ())
            ),
        )


@dataclass(frozen=True)
class Member:
    """A document inside another: what a ZIP holds, what is attached to a mail.

    `name` is what the container calls it, folders included, "/" between them; any text, nothing
    is promised about it. `path` leads to its bytes, relative to the processor's working
    directory. One that could not be taken out has no path but a `code` and a `detail`, as
    BadDocument has.
    """

    name: str
    path: str = ""
    code: str = ""
    detail: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", clean(self.name)[:MAX_MEMBER_NAME])

    def to_json(self) -> dict[str, str]:
        return {
            "name": self.name,
            "path": self.path,
            "code": self.code,
            "detail": self.detail,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Member":
        return cls(
            name=str(raw["name"]),
            path=str(raw["path"]),
            code=str(raw["code"])[:100],
            detail=clean(str(raw["detail"]))[:500],
        )


@dataclass(frozen=True)
class Extraction:
    """What was read. All text in it is storable: no NUL, no lone surrogates.

    `engine` names what read it, with versions; `language` is an ISO 639-1 code, or "" when
    unsure; `warnings` are sentences; `quality` is full, or partial when something is missing.
    Usual keys of `metadata`: title, author, subject, keywords, created_at and modified_at (ISO
    8601), encoding, and pages, slides or sheets where the document says how many it has.
    `members` are documents inside, to be read on their own; `artifacts` are files made of this
    one: the searchable PDF.
    """

    pages: tuple[Page, ...]
    kind: str
    engine: str
    language: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    quality: str = "full"
    members: tuple[Member, ...] = ()
    artifacts: tuple[Member, ...] = ()

    def __post_init__(self) -> None:
        said = itertools.islice(self.metadata.items(), MAX_SAID)
        object.__setattr__(self, "metadata", {_short(key): _short(value) for key, value in said})
        object.__setattr__(self, "warnings", tuple(map(_short, self.warnings[:MAX_SAID])))

    @property
    def text(self) -> str:
        return "\n\n".join(page.text for page in self.pages)

    @property
    def page_count(self) -> int:
        return len(self.pages)

    @property
    def word_count(self) -> int:
        return sum(page.words for page in self.pages)

    def to_json(self) -> dict[str, object]:
        return {
            "pages": [page.to_json() for page in self.pages],
            "kind": self.kind,
            "engine": self.engine,
            "language": self.language,
            "metadata": dict(self.metadata),
            "warnings": list(self.warnings),
            "quality": self.quality,
            "members": [member.to_json() for member in self.members],
            "artifacts": [artifact.to_json() for artifact in self.artifacts],
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Extraction":
        """The inverse of `to_json`. Raises KeyError, TypeError or ValueError on another shape."""
        metadata = dict(raw["metadata"])
        return cls(
            pages=tuple(Page.from_json(page) for page in raw["pages"]),
            kind=clean(str(raw["kind"])),
            engine=clean(str(raw["engine"])),
            language=clean(str(raw["language"]))[:MAX_LANGUAGE],
            metadata={str(key): str(value) for key, value in metadata.items()},
            warnings=tuple(str(warning) for warning in raw["warnings"]),
            quality="full" if raw["quality"] == "full" else "partial",
            members=tuple(Member.from_json(member) for member in raw["members"]),
            artifacts=tuple(Member.from_json(artifact) for artifact in raw["artifacts"]),
        )


class Report(Protocol):
    """How a processor tells that it is alive: `report(done, total, note)`, `done` never falling.

    A finished page given along is kept even when the processor is stopped before its end.
    """

    def __call__(self, done: int, total: int, note: str, page: Page | None = None) -> None: ...


class Processor(Protocol):
    """What reads documents, as a class without constructor arguments.

    It is constructed in the child before rights are given up: imports, models and tables are
    loaded there, for afterwards the interpreter's own files may be out of reach. `operations`
    are verbs of the API (extract, ocr), `accepts` are names from `kinds`.

    `run` raises BadDocument when the document is at fault and Unavailable when trying again may
    help; whatever else it raises counts as a fault of the processor.
    """

    name: str
    version: str
    operations: frozenset[str]
    accepts: frozenset[str]

    def run(self, document: Document, report: Report) -> Extraction: ...


def _percentage(raw: Any) -> float:
    percentage = float(raw)
    if not 0 <= percentage <= 100:  # or no number at all, which no database takes
        raise ValueError(raw)
    return percentage


def _short(text: str) -> str:
    return clean(text[:MAX_SAID_CHARACTERS])


def clean(text: str) -> str:
    """`text` without NUL, which PostgreSQL refuses, and without lone surrogates (as U+FFFD)."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        # Through UTF-16, so that two halves of one character come together again.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
