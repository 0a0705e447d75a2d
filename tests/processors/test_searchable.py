"""Searchable PDFs: the pictures are shown, the words are found where they stand."""

from pathlib import Path

import pypdfium2
import pytest
from PIL import Image, ImageChops

from apps.processors.searchable import SearchablePdf, Word
from tests.processors import papers

pytestmark = pytest.mark.once

WORDS = [
    Word("Größe", 100, 50, 300, 90),
    Word("港の記録", 350, 50, 560, 90),
    Word("👍", 600, 50, 640, 90),
    Word("below", 100, 150, 240, 190),
]


def test_the_words_lie_unseen_over_the_pictures(tmp_path: Path) -> None:
    scan = papers.scanned(papers.page("A page that is a picture.", size=(260, 90)))
    made = SearchablePdf()
    made.add(Image.new("RGB", (300, 200), "white"), [], 300)
    made.add(scan, [*WORDS, Word("", 1, 1, 9, 9), Word("flat", 9, 9, 9, 20)], 300)
    made.save(tmp_path / "searchable.pdf")
    with pypdfium2.PdfDocument(tmp_path / "searchable.pdf") as pdf:
        first, second = (page.get_textpage().get_text_bounded() for page in pdf)
        assert (first, second) == ("", "Größe 港の記録 👍\r\nbelow")
        box = pdf[1].get_textpage().get_charbox(0)
        assert box[0] == pytest.approx(100 * 72 / 300, abs=0.1)
        assert box[3] == pytest.approx((scan.height - 50) * 72 / 300, abs=0.5)
        shown = pdf[1].render(scale=300 / 72, grayscale=True).to_pil()
    shown = shown.resize(scan.size)  # the size of a page is rounded up to whole pixels
    assert ImageChops.difference(shown, scan).reduce(8).getextrema()[1] < 40  # as JPEG loses
