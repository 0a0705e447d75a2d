"""Pictures of text as scanners and telephones make them, by Pillow and libheif's heif-enc."""

import io
import subprocess
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from tests.data.make.common import DATA, TEXTS

LATIN = "/usr/share/fonts/truetype/liberation/LiberationSerif-Regular.ttf"
CJK = "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf"
ORIENTATION = 0x0112  # Exif 2.32, 4.6.4


def make(scratch: Path) -> None:
    survey, ticket = drawn(TEXTS["survey"]), drawn(TEXTS["ticket"])
    _save(survey.convert("1", dither=Image.Dither.NONE), "survey.png")
    _save(drawn(TEXTS["aushang"]).quantize(8), "aushang.png")
    _save(drawn(TEXTS["kanban"], font=CJK), "kanban.png")
    _save(drawn(TEXTS["kanban"], font=CJK).filter(ImageFilter.GaussianBlur(0.5)), "kanban.webp")
    frames = [drawn(TEXTS[f"frame_{word}"]).convert("1") for word in ("one", "two", "three")]
    _save(frames[0], "ledger.tiff", save_all=True, append_images=frames[1:], compression="group4")
    _save(ticket.convert("RGB"), "ticket-lzw.tif", compression="tiff_lzw", dpi=(200, 200))
    _save(ticket.convert("RGB"), "ticket.webp", quality=60)
    _save(survey.quantize(4), "survey.gif")
    turned = survey.rotate(90, expand=True).convert("RGB")
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # shown after a quarter turn to the right
    _save(turned, "survey-turned.jpg", quality=50, exif=exif)
    _save(_sunset(), "no-words.jpg", quality=60)
    source = scratch / "ticket.png"
    ticket.convert("RGB").save(source)
    target = DATA / "ticket.heic"
    subprocess.run(["heif-enc", "-q", "45", "-o", target, source], check=True, capture_output=True)


def drawn(lines: list[str], *, font: str = LATIN, size: int = 34) -> Image.Image:
    """The lines in black on white, as a page at about 200 dots an inch."""
    letters = ImageFont.truetype(font, size)
    width = 80 + max(int(letters.getlength(line)) for line in lines)
    page = Image.new("L", (width, 80 + int(1.6 * size) * len(lines)), 255)
    pen = ImageDraw.Draw(page)
    for row, line in enumerate(lines):
        pen.text((40, 40 + int(1.6 * size) * row), line, 0, letters)
    return page


def _sunset() -> Image.Image:
    """A picture without any words: sky, sea and a low sun."""
    image = Image.linear_gradient("L").resize((640, 480)).convert("RGB")
    pen = ImageDraw.Draw(image)
    pen.ellipse((260, 240, 360, 340), (255, 190, 90))
    pen.rectangle((0, 320, 640, 480), (20, 50, 90))
    return image.filter(ImageFilter.GaussianBlur(9))


def _save(image: Image.Image, name: str, **options: object) -> None:
    buffer = io.BytesIO()
    form = {"jpg": "JPEG", "tif": "TIFF", "tiff": "TIFF"}.get(name.rpartition(".")[2])
    image.save(buffer, form or name.rpartition(".")[2].upper(), **options)
    (DATA / name).write_bytes(buffer.getvalue())
