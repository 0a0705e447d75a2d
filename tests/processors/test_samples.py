"""Every sample through its processor in a real child, against what the sample really says."""

import difflib
import runpy
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from apps.processors.errors import BadDocument
from apps.processors.host import Outcome, ProcessorHost
from apps.processors.kinds import identify
from apps.processors.protocol import Options
from apps.processors.registry import processor_path_for, processors
from tests.processors.conftest import BUDGET

pytestmark = pytest.mark.once

SAMPLES = Path(__file__).parents[2] / "samples"
PROSE = runpy.run_path(str(SAMPLES.parent / "tests/samples/prose.py"))
NOT_SAMPLES = {".py", ".md"}
OCR_ACCURACY = 0.95


@dataclass(frozen=True)
class Truth:
    """`says`: its words in order. `accuracy`: how many of them must be found, in that order."""

    kind: str
    says: str
    language: str = "en"
    pages: int = 1
    ocr_pages: tuple[int, ...] = ()
    accuracy: float = 1.0
    metadata: dict[str, str] = field(default_factory=dict)
    members: tuple[str, ...] = ()


def lines(*names: str) -> str:
    return "\n".join(line for name in names for line in PROSE[name])


def recipe() -> str:
    title, introduction, ingredients, steps = PROSE["RECIPE"]
    rows = [f"{amount} {what}" for amount, what in ingredients]
    return "\n".join([title, *introduction, *rows, *steps])


def table(delimiter: str) -> str:
    return "\n".join(delimiter.join(row) for row in PROSE["CSV_ROWS"])


NOTICE = """The reading room. From April to September the reading room in the old customs house is
open on Tuesdays and Fridays, from nine in the morning until half past four. Charts may be studied
at the long table. Logbooks before 1900 are shown on request — please write a day ahead.
Day Hours Tuesday 9:00\N{EN DASH}16:30 Questions: reading@example.com"""

LOCKED = "document.encrypted"
DAMAGED = "document.corrupt"
TRUTHS: dict[str, Truth | str] = {
    "harbour-log.pdf": Truth(
        "pdf",
        "\n".join(line for page in PROSE["HARBOUR_LOG"] for line in page),
        pages=3,
        metadata={"title": "Harbour log, March", "author": "Example Ltd", "pages": "3"},
    ),
    "invoice-scan.pdf": Truth("pdf", lines("INVOICE"), ocr_pages=(1,), accuracy=OCR_ACCURACY),
    "letter-with-scan.pdf": Truth(
        "pdf", lines("LETTER", "SURVEY"), pages=2, ocr_pages=(2,), accuracy=OCR_ACCURACY
    ),
    "hausordnung.pdf": Truth("pdf", lines("HOUSE_RULES"), "de"),
    "locked.pdf": LOCKED,
    "damaged.pdf": DAMAGED,
    "recipe.docx": Truth(
        "docx", recipe(), metadata={"title": "Fish soup for eight", "author": "Example Ltd"}
    ),
    "notice.html": Truth(
        "html", NOTICE, metadata={"title": "Opening hours of the reading room", "encoding": "utf-8"}
    ),
    "order.eml": Truth(
        "eml",
        lines("MAIL"),
        metadata={
            "from": "Stores <stores@example.com>",
            "subject": "Order 4711: rope and varnish for the café boat",
            "attachments": "tides.csv",
        },
        members=("tides.csv",),
    ),
    "tides-cp1252.csv": Truth(
        "csv",
        table(";"),
        "de",
        metadata={"delimiter": "semicolon", "rows": "6", "columns": "5", "encoding": "cp1252"},
    ),
    "tides-utf16.csv": Truth(
        "csv", table("\t"), "de", metadata={"delimiter": "tab", "encoding": "utf-16"}
    ),
    "knots.txt": Truth("txt", PROSE["KNOTS"], metadata={"encoding": "utf-8"}),
    "survey.png": Truth("png", lines("SURVEY"), ocr_pages=(1,), accuracy=OCR_ACCURACY),
    "parking-photo.jpg": Truth("jpeg", lines("PARKING"), ocr_pages=(1,), accuracy=OCR_ACCURACY),
}
PLAIN = Options()
READABLE = {name: truth for name, truth in TRUTHS.items() if isinstance(truth, Truth)}


def words(text: str) -> list[str]:
    return text.replace(".", " ").replace(",", " ").split()


def accuracy(said: str, read: str) -> float:
    """The share of the words said that were read, in order."""
    matcher = difflib.SequenceMatcher(a=words(said), b=words(read), autojunk=False)
    return sum(block.size for block in matcher.get_matching_blocks()) / len(words(said))


@pytest.fixture(scope="module")
def warm() -> Iterator[ProcessorHost]:
    """Of its own: what others read before would count in the memory that it has taken."""
    host = ProcessorHost(processors())
    yield host
    host.close()


def read(
    host: ProcessorHost, path: Path, *, operation: str = "extract", options: Options = PLAIN
) -> tuple[Outcome, list[tuple[int, int, str]]]:
    with path.open("rb") as content:
        kind = identify(path.name, content).name
    progress: list[tuple[int, int, str]] = []
    outcome = host.run(
        processor=processor_path_for(operation, kind),
        source=path,
        name=path.name,
        kind=kind,
        options=options,
        owner="a",
        budget=BUDGET,
        on_progress=lambda *seen: progress.append(seen),
        should_stop=lambda: False,
    )
    return outcome, progress


def test_every_sample_has_its_truth() -> None:
    on_disk = {path.name for path in SAMPLES.iterdir() if path.suffix not in NOT_SAMPLES}
    assert on_disk - {"__pycache__"} == set(TRUTHS)


def test_the_samples_are_listed_for_people() -> None:
    readme = (SAMPLES / "README.md").read_text()
    assert [name for name in TRUTHS if f"`{name}`" not in readme] == []


@pytest.mark.parametrize("name", READABLE)
def test_what_a_sample_says(warm: ProcessorHost, name: str) -> None:
    truth = READABLE[name]
    outcome, progress = read(warm, SAMPLES / name)
    extraction = outcome.extraction
    assert extraction.kind == truth.kind
    assert accuracy(truth.says, extraction.text) >= truth.accuracy
    assert extraction.word_count == pytest.approx(len(truth.says.split()), rel=0.1, abs=2)
    assert [page.number for page in extraction.pages] == list(range(1, truth.pages + 1))
    assert tuple(page.number for page in extraction.pages if page.ocr) == truth.ocr_pages
    assert all(page.confidence and page.confidence > 80 for page in extraction.pages if page.ocr)
    assert extraction.language == truth.language
    assert truth.metadata.items() <= dict(extraction.metadata).items()
    assert tuple(member.name for member in extraction.members) == truth.members
    assert extraction.quality == "full"
    assert progress[-1][0] == progress[-1][1] > 0
    assert [seen[0] for seen in progress] == sorted(seen[0] for seen in progress)
    assert outcome.peak_rss_bytes < 600 * 1024**2


@pytest.mark.parametrize("name", [name for name in TRUTHS if name not in READABLE])
def test_what_is_wrong_with_a_sample(warm: ProcessorHost, name: str) -> None:
    with pytest.raises(BadDocument) as caught:
        read(warm, SAMPLES / name)
    assert caught.value.code == TRUTHS[name]


def test_hidden_and_programmed_parts_of_a_page_are_left_out(warm: ProcessorHost) -> None:
    outcome, _ = read(warm, SAMPLES / "notice.html")
    assert "Hidden sentence" not in outcome.extraction.text
    assert "this is not text" not in outcome.extraction.text


def test_ocr_is_offered_for_what_may_hold_pictures_only() -> None:
    for kind in ("pdf", "png", "jpeg"):
        processor_path_for("ocr", kind)
    for kind in ("docx", "html", "txt", "csv", "eml"):
        with pytest.raises(BadDocument, match=r"document\.unsupported"):
            processor_path_for("ocr", kind)


def test_forced_ocr_looks_at_every_page(warm: ProcessorHost) -> None:
    outcome, _ = read(
        warm, SAMPLES / "hausordnung.pdf", operation="ocr", options=Options(("deu",), ocr="force")
    )
    extraction = outcome.extraction
    assert [page.ocr for page in extraction.pages] == [True]
    assert accuracy(lines("HOUSE_RULES"), extraction.text) >= OCR_ACCURACY
    assert "tesseract" in extraction.engine


def test_ocr_can_be_switched_off(warm: ProcessorHost) -> None:
    outcome, _ = read(warm, SAMPLES / "letter-with-scan.pdf", options=Options(ocr="never"))
    assert [page.ocr for page in outcome.extraction.pages] == [False, False]
    assert outcome.extraction.pages[1].text == ""
    assert outcome.extraction.warnings == ("Page 2 is a picture; OCR was switched off.",)


def test_a_picture_without_ocr_is_only_measured(warm: ProcessorHost) -> None:
    outcome, _ = read(warm, SAMPLES / "survey.png", options=Options(ocr="never"))
    assert outcome.extraction.text == ""
    assert outcome.extraction.warnings == ("OCR was switched off.",)
    assert outcome.extraction.metadata == {"width": "1241", "height": "1754"}


def test_pages_can_be_chosen(warm: ProcessorHost) -> None:
    outcome, _ = read(warm, SAMPLES / "harbour-log.pdf", options=Options(pages="2-9"))
    assert [page.number for page in outcome.extraction.pages] == [2, 3]
    assert outcome.extraction.pages[0].text.startswith("Harbour log, March: second page")


def test_a_choice_outside_the_document_is_refused(warm: ProcessorHost) -> None:
    with pytest.raises(BadDocument, match=r"document\.pages.* 3 pages"):
        read(warm, SAMPLES / "harbour-log.pdf", options=Options(pages="7"))


def test_a_choice_of_pages_where_there_are_none_is_noted(warm: ProcessorHost) -> None:
    outcome, _ = read(warm, SAMPLES / "knots.txt", options=Options(pages="2"))
    assert "This kind of file has no pages to choose from." in outcome.extraction.warnings


def test_a_language_that_is_not_installed_is_refused(warm: ProcessorHost) -> None:
    with pytest.raises(BadDocument) as caught:
        read(warm, SAMPLES / "survey.png", options=Options(("tlh",)))
    assert caught.value.code == "document.language"
