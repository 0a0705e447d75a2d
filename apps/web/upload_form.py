"""The form of a new job: what it offers in this installation, and what its fields ask for."""

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from django.conf import settings
from django.template.defaultfilters import filesizeformat

from apps.core.errors import DocmillError
from apps.jobs.errors import NoFiles, StorageFull
from apps.jobs.storage import check_room, refusing_when_full
from apps.processors import registry
from apps.processors.kinds import KINDS
from apps.processors.protocol import MAX_LANGUAGES, MAX_PASSWORD
from apps.queue.models import PRIORITIES
from apps.web.words import OPERATIONS, joined

LANGUAGE = "language."
"""Each chosen language is a field of its own, for no field may be given twice."""

OCR_MODES = {"auto": "Where a page has no text", "never": "Never", "force": "On every page"}
DEFAULTS = {"priority": "normal", "ocr": "auto"}
FIELDS = frozenset({"operation", "priority", "name", "languages", "pages", "ocr", "password"})
LANGUAGES = {
    "ara": "Arabic",
    "ces": "Czech",
    "chi_sim": "Chinese, simplified",
    "chi_tra": "Chinese, traditional",
    "dan": "Danish",
    "deu": "German",
    "ell": "Greek",
    "eng": "English",
    "fin": "Finnish",
    "fra": "French",
    "heb": "Hebrew",
    "hin": "Hindi",
    "hun": "Hungarian",
    "ita": "Italian",
    "jpn": "Japanese",
    "kor": "Korean",
    "nld": "Dutch",
    "nor": "Norwegian",
    "pol": "Polish",
    "por": "Portuguese",
    "ron": "Romanian",
    "rus": "Russian",
    "spa": "Spanish",
    "swe": "Swedish",
    "tur": "Turkish",
    "ukr": "Ukrainian",
}
"""Names of Tesseract's codes; another language is shown by its code."""


@dataclass(frozen=True)
class Choice:
    """One of several: `value` is sent, `label` and `told` are read."""

    value: str
    label: str
    is_chosen: bool
    told: str = ""
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reason:
    """Why something was refused: `subject` is a file or a field."""

    subject: str
    detail: str


class NewJobForm:
    """The form, filled with what was `given` before, and why that was refused."""

    max_languages = MAX_LANGUAGES
    max_password = MAX_PASSWORD

    def __init__(
        self, given: Mapping[str, str] | None = None, error: DocmillError | None = None
    ) -> None:
        # Nothing on a page is to show a password again.
        self.given = {name: text for name, text in (given or {}).items() if name != "password"}
        self.error = error
        self.max_files = settings.BATCH_MAX_FILES
        self.max_bytes = settings.BATCH_MAX_FILE_BYTES
        # A new one each time: what this page sends is another request than what the last one sent.
        self.key = uuid.uuid4().hex

    @cached_property
    def operations(self) -> list[Choice]:
        """What this installation offers, reading text first."""
        names = sorted(registry.operations(), key=lambda name: (name != "extract", name))
        chosen = self.given.get("operation", names[0] if names else "")
        return [_operation(name, is_chosen=name == chosen) for name in names]

    @property
    def max_size(self) -> str:
        return filesizeformat(self.max_bytes).replace(".0", "")

    @property
    def extensions(self) -> list[str]:
        """Of every file that can be read here."""
        return list(dict.fromkeys(e for each in self.operations for e in each.extensions))

    @property
    def kinds(self) -> str:
        """What can be read here, in words."""
        readable = set(self.extensions)
        return joined(
            [kind.name.upper() for kind in KINDS.values() if readable & {*kind.extensions}]
        )

    @property
    def priorities(self) -> list[Choice]:
        return _choices({name: name.capitalize() for name in PRIORITIES}, self._chosen("priority"))

    @property
    def ocr_modes(self) -> list[Choice]:
        return _choices(OCR_MODES, self._chosen("ocr"))

    @property
    def languages(self) -> list[Choice]:
        """Those installed for OCR."""
        named = {code: LANGUAGES.get(code, code) for code in registry.languages()}
        chosen = {code for code in named if f"{LANGUAGE}{code}" in self.given}
        return _choices(dict(sorted(named.items(), key=lambda each: each[1])), chosen)

    @property
    def usual_languages(self) -> str:
        """Those for OCR where none is chosen, in words."""
        return joined([LANGUAGES.get(code, code) for code in settings.OCR_LANGUAGES])

    @property
    def summary(self) -> str:
        """What the refusal says as a whole; empty where the reasons say it already."""
        if self.error is None or any(each.detail == self.error.detail for each in self.reasons):
            return ""
        return self.error.detail or self.error.title

    @property
    def has_lost_files(self) -> bool:
        """Whether files were chosen, which no page can choose again by itself."""
        return not isinstance(self.error, NoFiles)

    @property
    def reasons(self) -> list[Reason]:
        """What the refusal says of single files and fields."""
        return [
            Reason(_subject(each.field), each.detail)
            for each in (self.error.errors if self.error else ())
        ]

    @property
    def refused_fields(self) -> set[str]:
        """Names of the fields that cannot stay as they are."""
        return {_name(each.field) for each in (self.error.errors if self.error else ())}

    @property
    def is_room_left(self) -> bool:
        """Whether the disk would take a file now."""
        try:
            with refusing_when_full():
                check_room(0)
        except StorageFull:
            return False
        return True

    def _chosen(self, field: str) -> set[str]:
        return {self.given.get(field, DEFAULTS[field])}


def api_fields(given: Mapping[str, str]) -> dict[str, str]:
    """The form's fields as those of `POST /api/batch/upload`."""
    fields = {name: value for name, value in given.items() if not name.startswith(LANGUAGE)}
    options = {
        "languages": [name.removeprefix(LANGUAGE) for name in given if name.startswith(LANGUAGE)],
        "pages": fields.pop("pages", ""),
        "ocr": fields.pop("ocr", DEFAULTS["ocr"]),
        "password": fields.pop("password", ""),
    }
    return fields | {"options": json.dumps(options)}


def _operation(name: str, *, is_chosen: bool) -> Choice:
    label, told = OPERATIONS.get(name, (name.capitalize(), ""))
    taken = {
        kind
        for processor in registry.processors().values()
        if name in processor.operations
        for kind in processor.accepts
    }
    extensions = tuple(e for kind in KINDS.values() if kind.name in taken for e in kind.extensions)
    return Choice(name, label, is_chosen, told, extensions)


def _choices(labels: Mapping[str, str], chosen: Iterable[str]) -> list[Choice]:
    return [Choice(value, label, value in chosen) for value, label in labels.items()]


def _name(field: str) -> str:
    return field.removeprefix("options.")


def _subject(field: str) -> str:
    """A field by its label; a file keeps its name."""
    return _name(field).capitalize() if _name(field) in FIELDS else field
