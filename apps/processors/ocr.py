"""Text from pictures, by Tesseract. One engine per process, shared by the processors."""

import contextlib
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tesserocr
from PIL import Image

from apps.processors import tessdata
from apps.processors.errors import BadDocument

DEFAULT_LANGUAGES = ("eng",)
KEPT_APIS = 3
MIN_LETTERS = 8
"""Fewer than this on a page that shows a picture: the text is in the picture."""
MAX_SIDE = 4000
DOTS_PER_INCH = 200
VERSION = f"tesseract {tesserocr.tesseract_version().split()[1]}"


@dataclass(frozen=True)
class Recognized:
    """`confidence` is Tesseract's mean over the words, 0 to 100."""

    text: str
    confidence: float


class Ocr:
    """Reads grey images. The folders are opened while they can be reached and used by descriptor:
    Tesseract opens models late, when the path may be closed to the child's user."""

    def __init__(self) -> None:
        Image.new("L", (1, 1)).tobytes()  # for what Pillow imports on first use
        self._folders = [
            (os.open(folder, os.O_RDONLY), tessdata.models(folder))
            for folder in tessdata.directories()
        ]
        self._apis: dict[tuple[str, ...], tuple[tesserocr.PyTessBaseAPI, int]] = {}

    def read(
        self, image: Image.Image, languages: tuple[str, ...], dots_per_inch: int = DOTS_PER_INCH
    ) -> Recognized:
        """Raises BadDocument "document.language" when the data of a language is not installed."""
        api, folder = self._api(languages or DEFAULT_LANGUAGES)
        grey = image.convert("L")
        with _inside(folder):  # orientation data is opened when the first page asks for it
            api.SetImageBytes(grey.tobytes(), grey.width, grey.height, 1, grey.width)
            api.SetSourceResolution(dots_per_inch)
            text, confidence = api.GetUTF8Text().strip(), float(api.MeanTextConf())
        # What it learned from one document is nobody else's business.
        api.ClearAdaptiveClassifier()
        api.Clear()
        return Recognized(text, confidence if text else 0.0)

    def _api(self, languages: tuple[str, ...]) -> tuple[tesserocr.PyTessBaseAPI, int]:
        if languages not in self._apis:
            while len(self._apis) >= KEPT_APIS:
                oldest, _ = self._apis.pop(next(iter(self._apis)))
                oldest.End()
            self._apis[languages] = self._opened(languages)
        return self._apis[languages]

    def _opened(self, languages: tuple[str, ...]) -> tuple[tesserocr.PyTessBaseAPI, int]:
        for folder, models in self._folders:
            if models.issuperset(languages):
                turned = tessdata.ORIENTATION in models
                mode = tesserocr.PSM.AUTO_OSD if turned else tesserocr.PSM.AUTO
                with _inside(folder):
                    return tesserocr.PyTessBaseAPI(
                        path="./", lang="+".join(languages), psm=mode
                    ), folder
        wanted = ", ".join(languages)
        raise BadDocument("document.language", f"No OCR data for {wanted} is installed together.")


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


@contextlib.contextmanager
def _inside(folder: int) -> Iterator[None]:
    before = Path.cwd()
    os.fchdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
