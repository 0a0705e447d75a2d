"""A processor that plays what the first word of a text file says, so that a page can be looked at
while a file runs, waits for its next try, or has killed its reader.

Everything else goes to the real processor.
"""

import os
import time

from apps.processors.errors import Unavailable
from apps.processors.protocol import Document, Extraction, Page, Report
from apps.processors.text import TextProcessor

HELD_SECONDS = 1200
ALIVE_SECONDS = 30


class StagingProcessor(TextProcessor):
    """`hold 40` stays at 40 %, `slow 6` takes six seconds, `later` fails for now, `crash` dies."""

    name = "staging"
    operations = frozenset({"extract", "ocr"})
    accepts = frozenset({"txt"})

    def run(self, document: Document, report: Report) -> Extraction:
        word, _, rest = document.path.read_text(errors="replace").partition(" ")
        if word == "hold":
            hold(int(rest), report)
        elif word == "slow":
            delay(float(rest), report)
        elif word == "later":
            raise Unavailable("document.reader_busy", "The reader for this kind is busy.")
        elif word == "crash":
            os.abort()
        elif word == "pages":
            return in_pages(int(rest), report)
        return super().run(document, report)


def hold(percent: int, report: Report) -> None:
    for _ in range(HELD_SECONDS // ALIVE_SECONDS):
        report(percent, 100, f"page {percent} of 100")
        time.sleep(ALIVE_SECONDS)


def delay(seconds: float, report: Report) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        report(int(100 * (seconds - left) / seconds), 100, "reading")
        time.sleep(min(left, 0.2))


def in_pages(count: int, report: Report) -> Extraction:
    """`count` pages, one of them with a line that does not break."""
    pages = tuple(
        Page(number=number, text=f"Sheet {number}\n\n" + "The tide comes in twice a day. " * 40)
        for number in range(1, count)
    )
    wide = Page(number=count, text="0123456789" * 60)
    report(count, count, "read")
    return Extraction(pages=(*pages, wide), kind="txt", engine="staging", language="en")
