"""A processor that takes as long as the text of the file says, in seconds, and tells how far."""

import time

from apps.processors.protocol import Document, Extraction, Page, Report


class SlowProcessor:
    """Reads "2.5" in two and a half seconds, "2.5 whatever" too."""

    name = "slow"
    version = "1"
    operations = frozenset({"extract"})
    accepts = frozenset({"txt"})

    def run(self, document: Document, report: Report) -> Extraction:
        text = document.path.read_text()
        seconds = float(text.split()[0])
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            report(int(100 * (seconds - left) / seconds), 100, "waiting")
            time.sleep(min(left, 0.1))
        return Extraction(pages=(Page(number=1, text=text),), kind="txt", engine="slow")


def sleep_for_ever() -> None:
    while True:
        time.sleep(60)
