"""The guard before a PDF is opened: what swells is refused, whatever it calls itself."""

import zlib
from pathlib import Path

import pytest

from apps.processors import pdf_guard
from apps.processors.errors import BadDocument

pytestmark = pytest.mark.once

SAMPLES = Path(__file__).parents[2] / "samples"


def packed(size: int, layers: int) -> bytes:
    """`size` zeros, packed `layers` times."""
    packer = zlib.compressobj(9)
    chunk = bytes(1024 * 1024)
    data = b"".join(packer.compress(chunk) for _ in range(size // len(chunk))) + packer.flush()
    for _ in range(layers - 1):
        data = zlib.compress(data, 9)
    return data


def with_stream(data: bytes, head: bytes = b"<</Length 1>>") -> bytes:
    return b"%PDF-1.4\n4 0 obj\n" + head + b"stream\n" + data + b"\nendstream\nendobj\n"


@pytest.fixture
def _low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_guard, "MAX_STREAM_BYTES", 4 * 1024 * 1024)


@pytest.mark.usefixtures("_low_limit")
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("head", [b"<</Filter/FlateDecode>>", b"<</Filter/Fl#61te>>", b"<<>>"])
def test_what_swells_is_refused_however_it_is_packed(layers: int, head: bytes) -> None:
    with pytest.raises(BadDocument, match=r"document\.bomb"):
        pdf_guard.check(with_stream(packed(8 * 1024**2, layers), head))


@pytest.mark.usefixtures("_low_limit")
@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_a_line_ends_as_it_may(end: bytes) -> None:
    content = with_stream(packed(8 * 1024**2, 1)).replace(b"stream\n", b"stream" + end, 1)
    with pytest.raises(BadDocument, match=r"document\.bomb"):
        pdf_guard.check(content)


@pytest.mark.usefixtures("_low_limit")
def test_the_second_stream_counts_as_the_first_does() -> None:
    small = with_stream(packed(1024**2, 1))
    pdf_guard.check(small * 20)  # each for itself: they are never in memory together
    with pytest.raises(BadDocument):
        pdf_guard.check(small + with_stream(packed(5 * 1024**2, 2)))


@pytest.mark.usefixtures("_low_limit")
def test_damaged_and_foreign_streams_are_left_to_the_reader() -> None:
    whole = packed(3 * 1024**2, 1)
    for data in (whole[:100], whole[:50] + bytes(50), b"\x78\x9cno", b"plain text", b"x", b""):
        pdf_guard.check(with_stream(data))


def test_the_real_limit_is_reached_by_two_kilobytes() -> None:
    data = packed(pdf_guard.MAX_STREAM_BYTES + 1024**2, 2)
    assert len(data) < 4096
    with pytest.raises(BadDocument):
        pdf_guard.check(with_stream(data))


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.pdf")), ids=lambda path: path.name)
def test_samples_pass(path: Path) -> None:
    pdf_guard.check(path.read_bytes())
