"""What every processor in settings.PROCESSORS keeps to, whatever it reads."""

import random
from pathlib import Path

import pytest
from django.conf import settings

from apps.processors.errors import BadDocument
from apps.processors.host import ProcessorHost
from apps.processors.kinds import KINDS
from apps.processors.protocol import Extraction, Options
from apps.processors.registry import operations, processors
from tests.processors.conftest import BUDGET
from tests.processors.test_samples import SAMPLES, TRUTHS, Truth

pytestmark = pytest.mark.once

PAIRS = [(path, kind) for path, made in processors().items() for kind in sorted(made.accepts)]
# Any bytes are text in some encoding: these kinds read what they get, and never fail.
FORGIVING = {"txt", "csv", "html"}
STARTS = {
    "pdf": b"%PDF-1.7\n",
    "docx": b"PK\x03\x04",
    "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
}


def run(host: ProcessorHost, processor: str, source: Path, kind: str) -> Extraction:
    done: list[float] = []
    outcome = host.run(
        processor=processor,
        source=source,
        name=source.name,
        kind=kind,
        options=Options(),
        owner="a",
        budget=BUDGET,
        on_progress=lambda finished, total, note: done.append(finished / max(total, 1)),
        should_stop=lambda: False,
    )
    assert done == sorted(done)
    assert done[-1] == 1.0
    return outcome.extraction


def sample(kind: str) -> Path:
    return next(
        SAMPLES / name
        for name, truth in TRUTHS.items()
        if isinstance(truth, Truth) and truth.kind == kind
    )


@pytest.mark.parametrize(("processor", "kind"), PAIRS)
def test_a_good_document_gives_a_whole_extraction_and_leaves_no_file(
    host: ProcessorHost, processor: str, kind: str
) -> None:
    extraction = run(host, processor, sample(kind), kind)
    assert extraction.kind == kind
    assert extraction.text.strip()
    assert extraction.engine
    assert extraction.quality == "full"
    assert [page.number for page in extraction.pages] == list(range(1, extraction.page_count + 1))


@pytest.mark.parametrize(("processor", "kind"), PAIRS)
@pytest.mark.parametrize("start", ["noise", "signature"])
def test_noise_is_refused_or_read_but_never_a_bug(
    host: ProcessorHost, processor: str, kind: str, start: str, tmp_path: Path
) -> None:
    source = tmp_path / "noise"
    noise = random.Random(f"{kind}").randbytes(20_000)
    source.write_bytes((STARTS.get(kind, b"") if start == "signature" else b"") + noise)
    if kind in FORGIVING:
        run(host, processor, source, kind)
        return
    with pytest.raises(BadDocument) as caught:
        run(host, processor, source, kind)
    assert caught.value.code == "document.corrupt"


@pytest.mark.parametrize(("processor", "kind"), PAIRS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_document_cut_short_is_no_bug(
    host: ProcessorHost, processor: str, kind: str, share: float, tmp_path: Path
) -> None:
    whole = sample(kind).read_bytes()
    source = tmp_path / "cut"
    source.write_bytes(whole[: int(len(whole) * share)])
    try:
        extraction = run(host, processor, source, kind)
    except BadDocument as error:
        assert error.code in ("document.corrupt", "document.empty")  # noqa: PT017 (either is fine)
    else:
        assert extraction.kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read(kind: str) -> None:
    assert kind in {accepted for _, accepted in PAIRS}


def test_what_is_offered() -> None:
    assert operations() == {"extract", "ocr"}


def test_the_settings_name_them_all() -> None:
    assert list(processors()) == settings.PROCESSORS
