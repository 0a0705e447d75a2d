"""Text from pictures, by Tesseract. One engine per process, shared by the processors."""

import contextlib
import functools
import os
import re
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tesserocr
from PIL import Image, ImageFilter

from apps.processors import tessdata
from apps.processors.errors import BadDocument
from apps.processors.searchable import Point, Word
from apps.processors.straightening import before_turning, lean, turned

DEFAULT_LANGUAGES = ("eng",)
KEPT_APIS = 3
MIN_LETTERS = 8
"""Fewer than this on a page that shows a picture: the text is in the picture."""
MAX_SIDE = 4000
DOTS_PER_INCH = 300
SURE_WORD = 60
SURE_LINE = 80
"""Confidence from which a word, or a line of no words, is believed: leaves, stars and bricks are
taken for letters too, but hardly ever for whole words."""
DOUBTFUL = 88
"""Below this a page is read once more without its specks; clean ones come to 93 to 96."""
IDEOGRAPHS = "\u2e80"
"""Where scripts begin of which a single sign is a word."""
# Tesseract puts blanks between the words of Japanese and Chinese, which are written without.
BETWEEN_IDEOGRAPHS = re.compile(
    r"(?<=[\u2e80-\u9fff\uff00-\uffef]) (?=[\u2e80-\u9fff\uff00-\uffef])"
)
VERSION = f"tesseract {tesserocr.tesseract_version().split()[1]}"
LINE, WORD, PARAGRAPH = tesserocr.RIL.TEXTLINE, tesserocr.RIL.WORD, tesserocr.RIL.PARA

Place = Callable[[tuple[int, int]], Point]
"""Where a pixel is in the picture that came, in parts of its width and height."""


@dataclass(frozen=True)
class Recognized:
    """`confidence` is the mean over the words of `text`, 0 to 100; `words` are there if asked
    for."""

    text: str
    confidence: float
    words: tuple[Word, ...] = ()


@dataclass(frozen=True)
class _Line:
    text: str
    words: tuple[tuple[str, float], ...]
    placed: tuple[Word, ...]

    @property
    def confidence(self) -> float:
        return statistics.fmean(sure for _, sure in self.words)

    def is_likely(self) -> bool:
        """Whether it is writing, when words are near: a number or a sign would do."""
        if any(sure >= SURE_WORD and _letters(word) >= 2 for word, sure in self.words):
            return True
        return self.confidence >= SURE_LINE and any(map(str.isalnum, self.text))

    def is_certain(self) -> bool:
        """Whether it shows that there is writing in the picture at all."""
        if any(sure >= SURE_WORD and _letters(word) >= 3 for word, sure in self.words):
            return True
        return self.confidence >= SURE_LINE and any(_letters(word) >= 2 for word, _ in self.words)


class Ocr:
    """Reads grey images. The folders are opened while they can be reached and used by descriptor:
    Tesseract opens models late, when the path may be closed to the child's user."""

    def __init__(self) -> None:
        Image.new("L", (1, 1)).tobytes()  # for what Pillow imports on first use
        self._folders = [
            (os.open(folder, os.O_RDONLY), tessdata.models(folder))
            for folder in tessdata.directories()
        ]
        self._apis: dict[tuple[str, ...], tesserocr.PyTessBaseAPI] = {}

    def read(
        self,
        image: Image.Image,
        languages: tuple[str, ...],
        dots_per_inch: int = DOTS_PER_INCH,
        *,
        with_words: bool = False,
    ) -> Recognized:
        """Raises BadDocument "document.language" when the data of a language is not installed."""
        languages = languages or DEFAULT_LANGUAGES
        leaning = image.convert("L")
        degrees = lean(leaning)
        grey = turned(leaning, degrees)
        place = partial(before_turning, after=grey, before=leaning, degrees=degrees)
        read = partial(
            _recognized, dots_per_inch=dots_per_inch, place=place if with_words else None
        )
        with self._models_of(languages):
            api = self._api(languages)
            seen = read(api, grey)
            if seen.text and seen.confidence < DOUBTFUL:
                again = read(api, grey.filter(ImageFilter.MedianFilter(3)))
                seen = max(seen, again, key=lambda one: one.confidence)
        # What it learned from one document is nobody else's business.
        api.ClearAdaptiveClassifier()
        api.Clear()
        return seen

    def _api(self, languages: tuple[str, ...]) -> tesserocr.PyTessBaseAPI:
        if languages not in self._apis:
            while len(self._apis) >= KEPT_APIS:
                self._apis.pop(next(iter(self._apis))).End()
            turned = any(tessdata.ORIENTATION in models for _, models in self._folders)
            mode = tesserocr.PSM.AUTO_OSD if turned else tesserocr.PSM.AUTO
            self._apis[languages] = tesserocr.PyTessBaseAPI(
                path="./", lang="+".join(languages), psm=mode
            )
        return self._apis[languages]

    @contextlib.contextmanager
    def _models_of(self, languages: tuple[str, ...]) -> Iterator[None]:
        """The data of `languages`, and what finds out how a page is turned, in the current
        folder. Tesseract takes one folder only, so from several they are copied into one."""
        where = {name: folder for folder, models in self._folders[::-1] for name in models}
        if missing := [language for language in languages if language not in where]:
            raise BadDocument(
                "document.language", f"No OCR data for {', '.join(missing)} is installed."
            )
        wanted = {*languages, tessdata.ORIENTATION} & where.keys()
        for folder, models in self._folders:
            if models >= wanted:
                with _inside(folder):
                    yield
                return
        with tempfile.TemporaryDirectory() as together:
            for name in wanted:
                _copy(f"{name}{tessdata.SUFFIX}", where[name], together)
            with _inside(together):
                yield


@functools.cache
def shared() -> Ocr:
    """The engine of this process. First called from a processor's constructor."""
    return Ocr()


def enough_letters(text: str) -> bool:
    """Whether a page's own text makes a look at its pictures unnecessary."""
    letters = 0
    for letter in text:
        letters += letter.isalnum()
        if letters >= MIN_LETTERS:
            return True
    return False


def _recognized(
    api: tesserocr.PyTessBaseAPI, grey: Image.Image, *, dots_per_inch: int, place: Place | None
) -> Recognized:
    api.SetImageBytes(grey.tobytes(), grey.width, grey.height, 1, grey.width)
    api.SetSourceResolution(dots_per_inch)
    api.Recognize()
    lines = list(_lines(api, place))
    if not any(line.is_certain() for line in lines):
        return Recognized("", 0.0)
    kept = [line for line in lines if line.is_likely()]
    text = BETWEEN_IDEOGRAPHS.sub("", "".join(line.text for line in kept)).strip()
    return Recognized(
        text,
        statistics.fmean(sure for line in kept for _, sure in line.words),
        tuple(word for line in kept for word in line.placed),
    )


def _lines(api: tesserocr.PyTessBaseAPI, place: Place | None) -> Iterator[_Line]:
    """The lines in reading order, each with its line end, a paragraph's last one with two."""
    iterator = api.GetIterator()
    if iterator is None or iterator.Empty(WORD):
        return
    text = ""
    words: list[tuple[str, float]] = []
    placed: list[Word] = []
    for word in tesserocr.iterate_level(iterator, WORD):
        if not words:
            text = word.GetUTF8Text(LINE).rstrip() + "\n"
        words.append((word.GetUTF8Text(WORD), word.Confidence(WORD)))
        if place:
            placed.append(Word(words[-1][0], *map(place, _corners(word))))
        if word.IsAtFinalElement(LINE, WORD):
            end = "\n" if word.IsAtFinalElement(PARAGRAPH, WORD) else ""
            yield _Line(text + end, tuple(words), tuple(placed))
            words, placed = [], []


def _corners(word: tesserocr.PyLTRResultIterator) -> list[tuple[int, int]]:
    """Bottom left, bottom right and top left, as one reads it."""
    left, top, right, bottom = word.BoundingBox(WORD)
    clockwise = [(left, bottom), (left, top), (right, top), (right, bottom)]
    first = word.Orientation()[0]  # how many quarters the page is turned clockwise
    return [clockwise[(first + step) % 4] for step in (0, 3, 1)]


def _letters(word: str) -> int:
    """How many letters and digits; a sign that is a word by itself counts as two."""
    return sum(1 + (letter >= IDEOGRAPHS) for letter in word if letter.isalnum())


def _copy(file: str, source: int, target: str) -> None:
    """`file` from the folder open as `source` to the folder `target`."""
    with open(file, "rb", opener=lambda name, flags: os.open(name, flags, dir_fd=source)) as data:
        Path(target, file).write_bytes(data.read())


@contextlib.contextmanager
def _inside(folder: int | str) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
