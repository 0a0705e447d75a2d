"""How much of a page is read right by OCR, and how long that takes.

    .venv/bin/python benchmarks/ocr.py

One page of 462 characters in many states, the same that the tests use. Right is 1 - edit distance
/ length, in characters; blanks and ends of lines count as one blank.
"""

import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ["OMP_THREAD_LIMIT"] = "1"  # as in the child; before the library is loaded


def main() -> None:
    from PIL import Image

    from apps.processors import ocr
    from tests.processors import test_ocr as pages
    from tests.processors.papers import likeness, scanned

    engine = ocr.Ocr()
    clean = scanned(pages.page(pages.TEXT))
    japanese = Image.open(ROOT / "tests/processors/japanese.png").convert("L")
    cases = {name: (change(clean), pages.TEXT, "eng") for name, (change, _) in pages.CASES.items()}
    for degrees in (-5, 8, 93):
        cases[f"leaning by {degrees} degrees"] = pages.turned(degrees)(clean), pages.TEXT, "eng"
    cases["150 dpi"] = clean.reduce(2), pages.TEXT, "eng"
    cases["two columns"] = (scanned(pages.two_columns()), pages.TEXT, "eng")
    cases["Japanese"] = (japanese, " ".join(pages.JAPANESE), "jpn")
    engine.read(clean, ())  # loads the model
    print(f"`.venv/bin/python {' '.join(sys.argv)}` ({ocr.VERSION})\n")
    print(
        f"| {'page':<24} | right | confidence | CPU s |\n|{'-' * 26}|------:|-----------:|------:|"
    )
    for name, (image, truth, language) in cases.items():
        started = time.process_time()
        seen = engine.read(image, (language,))
        spent = time.process_time() - started
        text = " ".join(seen.text.replace("\n", "")) if language == "jpn" else seen.text
        right = likeness(truth, text)
        print(f"| {name:<24} | {right:>5.1%} | {seen.confidence:>10.0f} | {spent:>5.2f} |")


if __name__ == "__main__":
    main()
