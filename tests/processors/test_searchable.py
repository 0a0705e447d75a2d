"""Searchable PDFs: what is shown stays, and the words are found where they stand."""

from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image, ImageChops
from reportlab.pdfgen.canvas import Canvas

from apps.processors import searchable
from apps.processors.host import ProcessorHost
from apps.processors.protocol import Document, Extraction, Options
from apps.processors.registry import processor_path_for
from apps.processors.searchable import Searchable, Word
from tests.processors import papers
from tests.processors.conftest import BUDGET

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT = 700, 300
Read = Callable[..., Extraction]


def word(text: str, left: int, top: int, right: int, bottom: int) -> Word:
    """By pixels of a picture of WIDTH and HEIGHT."""
    x, y = (left / WIDTH, right / WIDTH), (top / HEIGHT, bottom / HEIGHT)
    return Word(text, (x[0], y[1]), (x[1], y[1]), (x[0], y[0]))


WORDS = [
    word("Größe", 100, 50, 300, 90),
    word("港の", 350, 50, 450, 90),
    word("記録", 452, 50, 560, 90),
    word("👍", 600, 50, 640, 90),
    word("below", 100, 150, 240, 190),
]


@pytest.fixture
def read(warm: ProcessorHost, tmp_path: Path) -> Read:
    """Reads a file with a searchable PDF wanted."""

    def run(path: str | Path, **options: str) -> Extraction:
        into = tmp_path / str(len(list(tmp_path.iterdir())))
        into.mkdir()
        source = ROOT / path
        kind = {".jpg": "jpeg"}.get(source.suffix, source.suffix[1:])
        return warm.run(
            processor=processor_path_for("extract", kind),
            source=source,
            name=source.name,
            kind=kind,
            options=Options(**options),
            owner="a",
            budget=BUDGET,
            on_progress=lambda done, total, note: None,
            should_stop=lambda: False,
            searchable_to=into,
        ).extraction

    return run


def texts(extraction: Extraction) -> list[list[str]]:
    """The words of each page of the searchable PDF."""
    [made] = extraction.artifacts
    with pypdfium2.PdfDocument(made.path) as pdf:
        return [page.get_textpage().get_text_bounded().split() for page in pdf]


def drawn(path: str | Path) -> list[Image.Image]:
    with pypdfium2.PdfDocument(path) as pdf:
        return [page.render(grayscale=True).to_pil() for page in pdf]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Searchable:
    """One made here, of pictures."""
    monkeypatch.chdir(tmp_path)
    return Searchable(Document(Path("a.png"), "a.png", "png", wants_searchable=True))


def test_the_words_lie_unseen_over_the_pictures(made: Searchable) -> None:
    scan = papers.scanned(papers.page("A page that is a picture.", size=(260, 90)))
    scan = scan.resize((WIDTH, HEIGHT))
    made.show(lambda: Image.new("RGB", (300, 200), "white"), (72, 48), [])
    flat = [word("", 1, 1, 9, 9), word("flat", 9, 9, 9, 20)]
    made.show(lambda: scan, (WIDTH, HEIGHT), [*WORDS, *flat])
    [member] = made.finish()
    with pypdfium2.PdfDocument(member.path) as pdf:
        first, second = (page.get_textpage().get_text_bounded() for page in pdf)
        assert (first, second) == ("", "Größe 港の記録 👍\r\nbelow ")
        box = pdf[1].get_textpage().get_charbox(0)
        assert (box[0], box[3]) == (pytest.approx(100, abs=1), pytest.approx(250, abs=1))
    shown = drawn(member.path)[1]
    assert ImageChops.difference(shown, scan).reduce(8).getextrema()[1] < 40  # as JPEG loses


def test_pages_that_were_read_by_ocr_get_words_and_the_others_stay(read: Read) -> None:
    found = read("tests/data/text-and-scan.pdf")
    assert texts(found) == [page.text.split() for page in found.pages]
    assert [page.ocr for page in found.pages] == [False, True, False]
    before = drawn(ROOT / "tests/data/text-and-scan.pdf")
    for one, other in zip(before, drawn(found.artifacts[0].path), strict=True):
        assert ImageChops.difference(one, other).getbbox() is None


def test_words_stand_where_they_are_seen_on_a_turned_page(read: Read) -> None:
    found = read("tests/data/scan-turned.pdf")
    assert texts(found) == [page.text.split() for page in found.pages]
    with pypdfium2.PdfDocument(found.artifacts[0].path) as pdf:
        left, bottom, right, top = pdf[0].get_textpage().get_charbox(0)
        box = tuple(round(side * 300 / 72) for side in (left, bottom, right, top))
        shown = pdf[0].render(scale=300 / 72, grayscale=True).to_pil()
    letter = shown.crop((box[0], shown.height - box[3], box[2], shown.height - box[1]))
    assert letter.getextrema()[0] < 100


@pytest.mark.parametrize("degrees", [3, -90])
def test_so_they_do_on_a_leaning_one(read: Read, tmp_path: Path, degrees: int) -> None:
    sheet = papers.scanned(papers.page("Boats leave the harbour at dawn today.", size=(260, 120)))
    leaning = sheet.rotate(degrees, expand=True, fillcolor=255)
    leaning.save(tmp_path / "sheet.png")
    found = read(tmp_path / "sheet.png")
    assert texts(found) == [page.text.split() for page in found.pages]
    with pypdfium2.PdfDocument(found.artifacts[0].path) as pdf:
        page = pdf[0].get_textpage()
        where = page.search("dawn").get_next()
        assert where is not None
        first, last = page.get_charbox(where[0]), page.get_charbox(where[0] + 3)
        across, up = last[0] - first[0], last[1] - first[1]
    assert (across > 0 < up and up < across / 4) if degrees == 3 else up < -abs(across)


def test_pictures_become_pages_in_their_colours(read: Read, tmp_path: Path) -> None:
    sheet = papers.scanned(papers.page("Boats leave the harbour at dawn today.", size=(260, 120)))
    yellow = ImageChops.multiply(sheet.convert("RGB"), Image.new("RGB", sheet.size, "yellow"))
    yellow.save(tmp_path / "sheet.jpg")
    found = read(tmp_path / "sheet.jpg")
    assert texts(found) == [page.text.split() for page in found.pages]
    with pypdfium2.PdfDocument(found.artifacts[0].path) as pdf:
        red, green, blue = pdf[0].render().to_pil().convert("RGB").getpixel((5, 5))
    assert min(red, green) > 200
    assert blue < 50
    assert texts(read("tests/data/ledger.tiff"))[1][:2] == ["Second", "sheet"]


def test_there_is_none_without_words_from_ocr(read: Read) -> None:
    assert read("tests/data/no-words.jpg").artifacts == ()
    assert read("tests/data/groff.pdf", pages="1").artifacts == ()
    assert read("tests/data/groff.pdf", pages="1", ocr="force").artifacts == ()
    assert read("samples/invoice-scan.pdf", ocr="never").artifacts == ()


def test_a_protected_pdf_does_not_lose_its_protection(read: Read, tmp_path: Path) -> None:
    locked = Canvas(str(tmp_path / "locked.pdf"), encrypt="open")
    locked.drawImage(ROOT / "samples/survey.png", 0, 0, 595, 842)
    locked.save()
    found = read(tmp_path / "locked.pdf", password="open")
    assert found.pages[0].ocr
    assert found.artifacts == ()
    assert found.warnings[-1] == (
        "No searchable PDF was made: the PDF is protected, and a copy would not be."
    )


def test_what_cannot_be_written_is_a_warning(
    made: Searchable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Image.Image:
        raise MemoryError

    made.show(broken, (10, 10), WORDS)
    made.show(broken, (10, 10), WORDS)
    assert made.finish() == ()
    assert made.warnings == ["No searchable PDF was made: it could not be written."]


def test_pictures_that_are_too_large_together_are_left(
    made: Searchable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searchable, "MAX_PICTURE_BYTES", 1000)
    made.show(lambda: Image.effect_noise((200, 200), 90), (10, 10), WORDS)
    assert made.finish() == ()
    assert made.warnings == ["No searchable PDF was made: its pictures would be too large."]
