"""Pictures in every form they come in: upright, opaque, in bytes, and no larger than they say."""

import io
import struct
import zlib
from collections.abc import Iterator

import pytest
from PIL import ExifTags, Image, ImageDraw, ImageFont, ImageOps, PngImagePlugin

from apps.processors.errors import BadDocument
from apps.processors.host import ProcessorHost
from apps.processors.image import prepared
from tests.processors.papers import Reader, encoded

pytestmark = pytest.mark.once

Shade = int | tuple[int, ...]


@pytest.fixture(scope="module")
def read(warm: ProcessorHost, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(warm, tmp_path_factory.mktemp("image"))


def sign(
    text: str = "KEEP CLEAR", mode: str = "L", ink: Shade = 0, paper: Shade = 255
) -> Image.Image:
    image = Image.new(mode, (420, 90), paper)
    ImageDraw.Draw(image).text((30, 20), text, fill=ink, font=ImageFont.load_default(44))
    return image


def refusal(read: Reader, kind: str, content: bytes, **options: object) -> str:
    with pytest.raises(BadDocument) as caught:
        read(kind, content, **options)
    return caught.value.code


def deep(mode: str, factor: float) -> Image.Image:
    """Scanners use only some of the bits."""
    return (
        sign()
        .convert("F")
        .point(lambda value: value * factor)
        .convert("F" if mode == "F" else "I")
        .convert(mode)
    )


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        pytest.param("png", encoded(sign().convert("1")), id="1 bit"),
        pytest.param("png", encoded(deep("I;16", 4)), id="10 of 16 bits"),
        pytest.param("tiff", encoded(deep("F", 0.001), "TIFF"), id="fractions"),
        pytest.param("png", encoded(sign().convert("P")), id="palette"),
        pytest.param(
            "jpeg", encoded(sign(mode="RGB", paper=(255,) * 3).convert("CMYK"), "JPEG"), id="CMYK"
        ),
        pytest.param(
            "png", encoded(sign(mode="LA", ink=(0, 255), paper=(0, 0))), id="black on nothing"
        ),
        pytest.param(
            "png", encoded(sign(mode="LA", ink=(255, 255), paper=(0, 0))), id="white on nothing"
        ),
        pytest.param("gif", encoded(sign(), "GIF"), id="GIF"),
        pytest.param("webp", encoded(sign(), "WEBP", quality=80), id="WebP"),
    ],
)
def test_every_form_is_read(read: Reader, kind: str, content: bytes) -> None:
    extraction = read(kind, content)
    assert extraction.text == "KEEP CLEAR"
    assert extraction.warnings == ()


def test_nothing_visible_is_no_text() -> None:
    assert prepared(Image.new("RGBA", (9, 9), (0, 0, 0, 0))).getextrema() == (255, 255)


@pytest.mark.parametrize("form", ["TIFF", "JPEG"])
def test_pictures_are_turned_once_as_their_note_says(read: Reader, form: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to the right
    turned = sign().rotate(90, expand=True)
    assert read(form.lower(), encoded(turned, form, exif=exif)).text == "KEEP CLEAR"
    with Image.open(io.BytesIO(encoded(turned, form, exif=exif))) as picture:
        assert prepared(picture).width > prepared(picture).height


def pages(*images: Image.Image) -> bytes:
    return encoded(images[0], "TIFF", save_all=True, append_images=images[1:])


def test_every_page_of_a_tiff_is_read_and_told(read: Reader) -> None:
    content = pages(sign("FIRST"), sign("SECOND").convert("1"), sign("THIRD"))
    extraction = read("tiff", content)
    assert [page.text for page in extraction.pages] == ["FIRST", "SECOND", "THIRD"]
    assert extraction.metadata["pages"] == "3"
    assert read.progress[-1][:2] == (3, 3)
    chosen = read("tiff", content, pages="2-9")
    assert [(page.number, page.text) for page in chosen.pages] == [(2, "SECOND"), (3, "THIRD")]
    assert chosen.warnings == ()
    assert refusal(read, "tiff", content, pages="4") == "document.pages"


def test_a_tiff_of_too_many_pages_is_refused(read: Reader) -> None:
    """All of its pages are one dot, and the same."""
    content = b"II*\0\x08\0\0\0"
    for number in range(1, 2002):
        tags = [(256, 9), (257, 9), (258, 1), (259, 1), (262, 1), (273, 0), (279, 18)]
        packed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        last = number == 2001
        content += struct.pack("<H", len(tags)) + packed
        content += struct.pack("<I", 0 if last else len(content) + 4)
    assert refusal(read, "tiff", content) == "document.too_many_pages"


def entries(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Page, tag and place of the value of every entry in a TIFF (little endian)."""
    at, page = struct.unpack_from("<I", content, 4)[0], 0
    while at:
        (count,) = struct.unpack_from("<H", content, at)
        for number in range(count):
            place = at + 2 + 12 * number
            yield page, struct.unpack_from("<H", content, place)[0], place + 8
        at, page = struct.unpack_from("<I", content, at + 2 + 12 * count)[0], page + 1


def changed(content: bytes, page: int, tag: int, value: int) -> bytes:
    lying = bytearray(content)
    for number, found, place in entries(content):
        if (number, found) == (page, tag):
            struct.pack_into("<I", lying, place, value)
    return bytes(lying)


def test_each_page_of_a_tiff_is_measured_before_it_is_decoded(read: Reader) -> None:
    content = pages(sign("FIRST"), sign("SECOND"))
    lying = changed(changed(content, 1, 256, 60_000), 1, 257, 60_000)
    assert refusal(read, "tiff", lying) == "document.bomb"


def test_a_tiff_whose_strips_lie_elsewhere_is_partly_read(read: Reader) -> None:
    content = pages(sign("FIRST"), sign("SECOND"))
    extraction = read("tiff", changed(content, 1, 273, len(content) + 1000))
    assert [page.text for page in extraction.pages] == ["FIRST", ""]
    assert extraction.warnings == ("Page 2 is damaged and could not be read.",)
    assert extraction.quality == "partial"
    assert refusal(read, "tiff", changed(pages(sign()), 0, 273, 1 << 30)) == "document.corrupt"


def test_of_an_animation_the_first_picture_is_read(read: Reader) -> None:
    content = encoded(
        sign("FIRST"), "GIF", save_all=True, append_images=[sign("SECOND"), sign("THIRD")]
    )
    extraction = read("gif", content)
    assert extraction.text == "FIRST"
    assert extraction.warnings == ("Of several pictures in the file, the first was read.",)


def with_chunk(kind: bytes, data: bytes) -> bytes:
    plain = encoded(sign())
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return plain[:33] + chunk + plain[33:]  # after the header


def test_notes_that_swell_are_refused(read: Reader) -> None:
    packed = zlib.compress(bytes(2 * 1024 * 1024), 9)
    assert refusal(read, "png", with_chunk(b"zTXt", b"Comment\0\0" + packed)) == "document.bomb"
    international = b"Comment\0\1\0\0\0" + packed
    assert refusal(read, "png", with_chunk(b"iTXt", international)) == "document.bomb"


def test_a_picture_of_another_form_than_it_says_is_damaged(read: Reader) -> None:
    assert refusal(read, "jpeg", encoded(sign())) == "document.corrupt"


def test_what_is_noted_about_a_photo_is_kept_but_not_the_place(read: Reader) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Example Ltd"
    exif[ExifTags.Base.ImageDescription] = "The quay at low water"
    camera = exif.get_ifd(ExifTags.IFD.Exif)
    camera[ExifTags.Base.DateTimeOriginal] = "2024:03:04 09:30:15"
    camera[ExifTags.Base.OffsetTimeOriginal] = "+01:00"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAreaInformation] = "home"
    content = encoded(sign(), "JPEG", exif=exif, dpi=(300, 300))
    assert read("jpeg", content, ocr="never").metadata == {
        "width": "420",
        "height": "90",
        "dpi": "300",
        "author": "Example Ltd",
        "description": "The quay at low water",
        "created_at": "2024-03-04T09:30:15+01:00",
    }


def test_notes_in_a_png_are_kept(read: Reader) -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Title", "A sign")
    assert read("png", encoded(sign(), pnginfo=notes), ocr="never").metadata["title"] == "A sign"


def test_inverted_signs_are_read(read: Reader) -> None:
    assert read("png", encoded(ImageOps.invert(sign()))).text == "KEEP CLEAR"
