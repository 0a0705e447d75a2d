"""Where Tesseract's language data lies. Pure; the web process uses it too."""

import sys
from pathlib import Path

ORIENTATION = "osd"
NOT_LANGUAGES = {ORIENTATION, "equ", "snum"}
SUFFIX = ".traineddata"


def directories() -> list[Path]:
    """Folders with language data: of the installed packages first, then of the system."""
    candidates = [
        Path(sys.prefix) / "share" / "tessdata",
        Path("/usr/share/tesseract-ocr/5/tessdata"),
        Path("/usr/share/tesseract-ocr/4.00/tessdata"),
        Path("/usr/share/tessdata"),
        Path("/usr/local/share/tessdata"),
        Path("/opt/homebrew/share/tessdata"),
    ]
    return [folder for folder in candidates if any(folder.glob(f"*{SUFFIX}"))]


def models(folder: Path) -> set[str]:
    return {path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}")}


def languages() -> list[str]:
    """Codes of every language that can be read, sorted."""
    found = set().union(*(models(folder) for folder in directories()))
    return sorted(found - NOT_LANGUAGES)
