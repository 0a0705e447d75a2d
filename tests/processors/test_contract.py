"""What every processor in settings.PROCESSORS keeps to with bytes that are no document.

What they keep to with good documents is in test_corpus.py.
"""

import random
from pathlib import Path

import pytest
from django.conf import settings

from apps.processors.errors import BadDocument
from apps.processors.host import ProcessorHost
from apps.processors.kinds import KINDS
from apps.processors.protocol import Options
from apps.processors.registry import operations, processors
from tests.processors.conftest import BUDGET
from tests.processors.test_corpus import DATA, READABLE, TRUTHS

pytestmark = pytest.mark.once

PAIRS = [(path, kind) for path, made in processors().items() for kind in sorted(made.accepts)]
# Any bytes are text in some encoding: these kinds read what they get, and never fail.
FORGIVING = {"txt", "csv", "html", "md"}
ZIP = b"PK\x03\x04"
OLE = bytes.fromhex("d0cf11e0a1b11ae1")
STARTS = {
    "pdf": b"%PDF-1.7\n",
    **dict.fromkeys(("docx", "pptx", "xlsx", "xlsb", "odt", "ods", "odp", "epub", "zip"), ZIP),
    **dict.fromkeys(("doc", "xls", "ppt", "msg"), OLE),
    "rtf": b"{\\rtf1\\ansi ",
    "json": b'{"a": ',
    "xml": b'<?xml version="1.0"?><a>',
    "eml": b"",
    "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "tiff": b"II*\x00",
    "webp": b"RIFF\x18\x4e\x00\x00WEBPVP8 ",
    "gif": b"GIF89a\x10\x00\x10\x00",
    "heic": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00heicmif1",
}


def run(host: ProcessorHost, processor: str, source: Path, kind: str) -> None:
    outcome = host.run(
        processor=processor,
        source=source,
        name=source.name,
        kind=kind,
        options=Options(),
        owner="a",
        budget=BUDGET,
        on_progress=lambda finished, total, note: None,
        should_stop=lambda: False,
    )
    assert outcome.extraction.kind == kind


def smallest(kind: str) -> Path:
    named = [DATA / name for name in READABLE if TRUTHS[name]["kind"] == kind]
    return min(named, key=lambda path: path.stat().st_size)


@pytest.mark.parametrize(("processor", "kind"), PAIRS)
def test_noise_is_refused_or_read_but_never_a_bug(
    warm: ProcessorHost, processor: str, kind: str, tmp_path: Path
) -> None:
    source = tmp_path / "noise"
    source.write_bytes(STARTS.get(kind, b"") + random.Random(f"{kind}").randbytes(20_000))
    if kind in FORGIVING:
        run(warm, processor, source, kind)
        return
    with pytest.raises(BadDocument) as caught:
        run(warm, processor, source, kind)
    # Of a picture noise may say that it is 60,000 pixels wide.
    assert caught.value.code in ("document.corrupt", "document.bomb")


@pytest.mark.parametrize(("processor", "kind"), PAIRS)
@pytest.mark.parametrize("share", [0.1, 0.9])
def test_a_document_cut_short_is_no_bug(
    warm: ProcessorHost, processor: str, kind: str, share: float, tmp_path: Path
) -> None:
    whole = smallest(kind).read_bytes()
    source = tmp_path / "cut"
    source.write_bytes(whole[: int(len(whole) * share)])
    try:
        run(warm, processor, source, kind)
    except BadDocument as error:
        assert error.code in ("document.corrupt", "document.empty")  # noqa: PT017 (either is fine)


def test_every_kind_is_read_and_has_a_beginning_here() -> None:
    assert {kind for _, kind in PAIRS} == set(KINDS) == FORGIVING | set(STARTS)


def test_what_is_offered() -> None:
    assert operations() == {"extract", "ocr"}


def test_the_settings_name_them_all() -> None:
    assert list(processors()) == settings.PROCESSORS
