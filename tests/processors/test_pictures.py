"""Pictures of pages: drawn upright, small and on white, by a child without any reader of text."""

import struct
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from PIL import ExifTags, Image
from reportlab.pdfgen.canvas import Canvas

from apps.processors.errors import BadDocument
from apps.processors.host import ProcessorHost
from apps.processors.pictures import WIDTHS, PagePicture
from apps.processors.protocol import Document, Options
from tests.processors.conftest import BUDGET

pytestmark = pytest.mark.once

PICTURE = "apps.processors.pictures.PagePicture"
SAMPLES = Path(__file__).resolve().parents[2] / "samples"
DATA = Path(__file__).resolve().parents[1] / "data"
PASSWORD = "lighthouse"  # of samples/locked.pdf
RED, WHITE, BLUE = (255, 0, 0), (255, 255, 255), (0, 0, 255)
Draw = Callable[..., list[Image.Image]]


@pytest.fixture(scope="module")
def shared() -> Iterator[ProcessorHost]:
    host = ProcessorHost([PICTURE])
    yield host
    host.close()


@pytest.fixture
def draw(shared: ProcessorHost, tmp_path: Path) -> Draw:
    """The pictures of one page, the smallest first."""

    def run(content: bytes, kind: str, page: str = "", password: str = "") -> list[Image.Image]:
        source, into = tmp_path / "source", tmp_path / "into"
        source.write_bytes(content)
        into.mkdir(exist_ok=True)
        for old in into.iterdir():
            old.unlink()
        outcome = shared.run(
            processor=PICTURE,
            source=source,
            name="a",
            kind=kind,
            options=Options(pages=page, password=password),
            owner="a",
            budget=BUDGET,
            on_progress=lambda *_: None,
            should_stop=lambda: False,
            members_to=into,
        )
        members = outcome.extraction.members
        assert [member.name for member in members] == list(map(str, WIDTHS))
        drawn = [BytesIO(Path(member.path).read_bytes()) for member in members]
        return [Image.open(picture, formats=["WEBP"]) for picture in drawn]

    return run


def a_pdf(*sizes: tuple[float, float]) -> bytes:
    """Pages with a red band along their upper edge."""
    sink = BytesIO()
    canvas = Canvas(sink)
    for width, height in sizes:
        canvas.setPageSize((width, height))
        canvas.setFillColorRGB(1, 0, 0)
        canvas.rect(0, height * 0.75, width, height * 0.25, stroke=0, fill=1)
        canvas.showPage()
    canvas.save()
    return sink.getvalue()


def an_image(kind: str, size: tuple[int, int] = (60, 40), mode: str = "RGB", **more: Any) -> bytes:
    """Red above, blue below."""
    picture = Image.new("RGB", size, BLUE)
    picture.paste(RED, (0, 0, size[0], size[1] // 2))
    sink = BytesIO()
    picture.convert(mode).save(sink, kind, **more)
    return sink.getvalue()


def near(picture: Image.Image, place: tuple[float, float], colour: tuple[int, ...]) -> bool:
    """Whether the picture is of about that colour at `place`, in shares of its sides."""
    across, down = place
    pixel = picture.convert("RGB").getpixel(
        (int(picture.width * across), int(picture.height * down))
    )
    assert isinstance(pixel, tuple)
    return all(abs(a - b) < 60 for a, b in zip(pixel, colour, strict=True))


TOP, RIGHT, BOTTOM = (0.5, 0.1), (0.95, 0.5), (0.5, 0.9)


def test_a_page_of_a_pdf_in_every_width(draw: Draw) -> None:
    pictures = draw(a_pdf((100, 200), (300, 100)), "pdf", "2")
    assert [picture.width for picture in pictures] == list(WIDTHS)
    assert all(abs(picture.width / picture.height - 3) < 0.02 for picture in pictures)
    assert near(pictures[0], TOP, RED)
    assert near(pictures[0], BOTTOM, WHITE)


def test_pages_stand_upright(draw: Draw) -> None:
    pdf = pypdfium2.PdfDocument(a_pdf((100, 200)))
    pdf[0].set_rotation(90)  # to the right
    turned = BytesIO()
    pdf.save(turned)
    pdf.close()
    small, *_ = draw(turned.getvalue(), "pdf")
    assert small.width > small.height
    assert near(small, RIGHT, RED)


@pytest.mark.parametrize("size", [(14400, 14400), (1, 14400), (14400, 1)])
def test_no_page_makes_a_large_picture(draw: Draw, size: tuple[float, float]) -> None:
    *_, largest = draw(a_pdf(size), "pdf")
    assert 1 <= largest.width <= 1600
    assert 1 <= largest.height <= 4800


def test_filled_in_forms_are_drawn(draw: Draw) -> None:
    sink = BytesIO()
    canvas = Canvas(sink, pagesize=(200, 200))
    canvas.acroForm.textfield(value="MMM", width=180, height=160, x=10, y=20, fontSize=90)
    canvas.showPage()
    canvas.save()
    small, *_ = draw(sink.getvalue(), "pdf")
    darkest = small.convert("L").crop((40, 60, 280, 260)).getextrema()[0]
    assert isinstance(darkest, (int, float))
    assert darkest < 60


@pytest.mark.parametrize(
    ("kind", "form", "mode"),
    [
        ("png", "PNG", "RGB"),
        ("png", "PNG", "RGBA"),
        ("png", "PNG", "P"),
        ("jpeg", "JPEG", "RGB"),
        ("jpeg", "JPEG", "CMYK"),
        ("tiff", "TIFF", "RGB"),
        ("webp", "WEBP", "RGB"),
        ("gif", "GIF", "P"),
    ],
)
def test_every_kind_of_picture(draw: Draw, kind: str, form: str, mode: str) -> None:
    pictures = draw(an_image(form, mode=mode), kind)
    assert [picture.size for picture in pictures] == [(60, 40)] * 3
    assert near(pictures[0], TOP, RED)
    assert near(pictures[0], BOTTOM, BLUE)


@pytest.mark.parametrize("mode", ["1", "L", "I;16"])
def test_grey_of_every_depth(draw: Draw, mode: str) -> None:
    picture = Image.new("L", (40, 40), 255)
    picture.paste(0, (0, 0, 40, 20))
    if mode == "I;16":  # a third of white: what is cut off instead of scaled is white
        picture = picture.convert("I").point(lambda value: value * 85).convert("I;16")
    sink = BytesIO()
    (picture if mode == "I;16" else picture.convert(mode)).save(sink, "PNG")
    small, *_ = draw(sink.getvalue(), "png")
    grey = (85, 85, 85) if mode == "I;16" else WHITE
    assert near(small, TOP, (0, 0, 0))
    assert near(small, BOTTOM, grey)


def test_what_can_be_seen_through_is_on_white(draw: Draw) -> None:
    sink = BytesIO()
    Image.new("RGBA", (30, 30), (0, 0, 0, 0)).save(sink, "PNG")
    assert near(draw(sink.getvalue(), "png")[0], TOP, WHITE)


@pytest.mark.parametrize(("kind", "form"), [("jpeg", "JPEG"), ("tiff", "TIFF"), ("webp", "WEBP")])
def test_pictures_are_turned_as_the_camera_noted(draw: Draw, kind: str, form: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be turned by 90 degrees, to the right
    small, *_ = draw(an_image(form, exif=exif), kind)
    assert small.size == (40, 60)
    assert near(small, RIGHT, RED)


def test_frames_are_chosen_by_number(draw: Draw) -> None:
    second = Image.new("RGB", (30, 30), "white")
    many = an_image("TIFF", save_all=True, append_images=[second])
    assert near(draw(many, "tiff", "1")[0], TOP, RED)
    assert near(draw(many, "tiff", "2")[0], TOP, WHITE)


def test_large_photos_are_made_small(draw: Draw) -> None:
    small, middle, large = draw(an_image("JPEG", (4000, 3000)), "jpeg")
    assert (small.size, middle.size, large.size) == ((320, 240), (960, 720), (1600, 1200))


def a_bomb() -> bytes:
    """A small picture whose header tells of 300 million points."""
    picture = an_image("PNG")
    header = b"IHDR" + struct.pack(">II", 30_000, 10_000) + picture[24:29]
    return picture[:12] + header + struct.pack(">I", zlib.crc32(header)) + picture[33:]


def locked() -> bytes:
    return (SAMPLES / "locked.pdf").read_bytes()


@pytest.mark.parametrize(
    ("content", "kind", "page", "code"),
    [
        (locked(), "pdf", "1", "document.encrypted"),
        (a_pdf((9, 9)), "pdf", "2", "document.pages"),
        (an_image("PNG"), "png", "2", "document.pages"),
        (b"%PDF-1.7 and no more", "pdf", "1", "document.corrupt"),
        (an_image("PNG")[:90], "png", "1", "document.corrupt"),
        (an_image("PNG"), "jpeg", "1", "document.corrupt"),
        (a_bomb(), "png", "1", "document.bomb"),
    ],
    ids=["locked", "page", "frame", "damaged pdf", "damaged image", "other kind", "bomb"],
)
def test_what_cannot_be_drawn_says_why(
    tmp_path: Path, content: bytes, kind: str, page: str, code: str
) -> None:
    assert refused(tmp_path, content, kind, Options(pages=page)) == code


def test_a_wrong_password(tmp_path: Path) -> None:
    options = Options(password="not this one")
    assert refused(tmp_path, locked(), "pdf", options) == "document.password"


def refused(folder: Path, content: bytes, kind: str, options: Options) -> str:
    """The code. In this process: every failure in a child costs a new one."""
    path = folder / "a"
    path.write_bytes(content)
    with pytest.raises(BadDocument) as error:
        PagePicture().run(Document(path, "a", kind, options), lambda *_: None)
    return error.value.code


def test_the_right_password(draw: Draw) -> None:
    small, *_ = draw(locked(), "pdf", "1", PASSWORD)
    assert small.size == (320, 453)


def test_heic(draw: Draw) -> None:
    small, *_ = draw((DATA / "ticket.heic").read_bytes(), "heic")
    assert small.width == 320
