"""Which language a text is in, by py3langid over its beginning."""

import functools
import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

SAMPLE_CHARACTERS = 4000
MIN_LETTERS = 20


class LanguageGuess:
    """Keeps the packed model (5 MB) from the start and unpacks it (0.7 s, 70 MB) on first use:
    the file may be out of reach by then, and a child that only meets broken documents never
    needs it."""

    def __init__(self) -> None:
        from py3langid import langid  # slow, and the web process loads this module too

        self._packed = (Path(langid.MODEL_DIR) / langid.MODEL_FILE).read_bytes()
        self._identifier: LanguageIdentifier | None = None

    def __call__(self, text: str) -> str:
        """An ISO 639-1 code, or "" when there is too little text to tell or the list has none."""
        sample = text[:SAMPLE_CHARACTERS]
        if sum(letter.isalpha() for letter in sample) < MIN_LETTERS:
            return ""
        if self._identifier is None:
            self._identifier = self._unpacked()
        code = str(self._identifier.classify(sample)[0])
        return code if len(code) == 2 else ""  # longer ones are of other lists

    def _unpacked(self) -> "LanguageIdentifier":
        import numpy as np
        from py3langid import langid, modelio

        ptc, pc, classes, moves, rows, output = modelio.load_model(io.BytesIO(self._packed))
        return langid.LanguageIdentifier(
            np.asarray(ptc), np.asarray(pc), classes, moves, output, tk_row=rows
        )


@functools.cache
def shared() -> LanguageGuess:
    """The one of this process. First called from a processor's constructor."""
    return LanguageGuess()
