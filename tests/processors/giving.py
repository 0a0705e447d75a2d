"""A processor that gives what the document says, whether it should or not."""

import contextlib
import json
import os
from pathlib import Path

from apps.processors import wire
from apps.processors.protocol import Document, Extraction, Member, Page, Report


class GivingProcessor:
    """The document is JSON: {"do": a method, "paths": what is named as members, "made": what is
    named as artifacts, "reported" and "returned": the texts of pages}."""

    name = "giving"
    version = "1"
    operations = frozenset({"extract"})
    accepts = frozenset({"txt"})

    def run(self, document: Document, report: Report) -> Extraction:
        order = json.loads(document.path.read_text())
        getattr(self, order.get("do", "nothing"))()
        for page in _pages(order.get("reported", [])):
            report(page.number, 100, "read", page=page)
        return Extraction(
            pages=_pages(order.get("returned", [])),
            kind="txt",
            engine="giving 1",
            members=tuple(
                Member(name=f"folder/{path}", path=path) for path in order.get("paths", [])
            ),
            artifacts=tuple(Member(name=path, path=path) for path in order.get("made", [])),
        )

    def nothing(self) -> None:
        """Name only what is there anyway."""

    def files(self) -> None:
        Path("inner").mkdir()
        (Path("inner") / "one").write_text("first")
        Path("two").write_text("second")

    def lie(self) -> None:
        """Answer past the line's own end, with more pages than ever went out."""
        done = Extraction(pages=(), kind="txt", engine="x").to_json()
        usage = {"peak_rss_bytes": 1, "cpu_seconds": 1}
        for descriptor in range(3, 30):
            with contextlib.suppress(OSError):
                os.write(descriptor, wire.pack({"done": done, "sent": 1, "usage": usage}))


def _pages(texts: list[str]) -> tuple[Page, ...]:
    return tuple(Page(number, text) for number, text in enumerate(texts, 1))
