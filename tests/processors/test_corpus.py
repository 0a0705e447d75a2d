"""Every file of tests/data through its processor in a real child, against what it really says.

The truth is in tests/data/truth.toml, which explains its keys, and was written by those who made
the files.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from apps.processors.errors import BadDocument
from apps.processors.host import ProcessorHost
from apps.processors.kinds import KINDS, identify
from apps.processors.protocol import Extraction, Options
from apps.processors.registry import processor_path_for
from tests.data.make import bombs
from tests.processors.conftest import BUDGET
from tests.processors.test_samples import accuracy

pytestmark = pytest.mark.once

DATA = Path(__file__).parents[1] / "data"
TEXTS: dict[str, Any] = tomllib.loads((DATA / "texts.toml").read_text())
TRUTHS: dict[str, dict[str, Any]] = tomllib.loads((DATA / "truth.toml").read_text())
READABLE = [name for name, truth in TRUTHS.items() if "code" not in truth]
REFUSED = [name for name, truth in TRUTHS.items() if "code" in truth]
LOCKED = [name for name, truth in TRUTHS.items() if "opens" in truth]
# One for each way of locking is enough: turning a password into a key takes its time.
WRONGLY_OPENED = [f"broken/locked{end}" for end in (".pdf", ".docx", ".xls", ".odt", "-aes.zip")]
PASSWORD = "lighthouse"
NOT_DATA = {"README.md", "texts.toml", "truth.toml"}
UNSPACED = ("ja", "zh")
DIRECTION_MARKS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
SENTENCE = re.compile(r"[A-Z].{10,}[.!]", re.DOTALL)


def read(
    host: ProcessorHost, path: Path, options: Options | None = None, into: Path | None = None
) -> Extraction:
    with path.open("rb") as content:
        kind = identify(path.name, content).name
    done: list[float] = []
    extraction = host.run(
        processor=processor_path_for("extract", kind),
        source=path,
        name=path.name,
        kind=kind,
        options=options or Options(),
        owner="a",
        budget=BUDGET,
        on_progress=lambda finished, total, note: done.append(finished / max(total, 1)),
        should_stop=lambda: False,
        members_to=into,
    ).extraction
    assert done == sorted(done)
    assert done[-1] == 1.0
    assert extraction.engine
    return extraction


def options_for(truth: dict[str, Any], password: str = "") -> Options:
    return Options(languages=tuple(truth.get("languages", ())), password=password)


def plain(words: str, language: str) -> str:
    """Words with single spaces, without marks that only turn the direction of writing."""
    unmarked = DIRECTION_MARKS.sub("", words)
    return ("" if language in UNSPACED else " ").join(unmarked.split())


def said(truth: dict[str, Any]) -> list[str]:
    return [sentence for name in truth.get("says", ()) for sentence in TEXTS[name]]


def rows_in(truth: dict[str, Any]) -> list[list[str]]:
    named = [row for name in truth.get("tables", ()) for row in TEXTS["tables"][name]]
    return [*named, *truth.get("rows", ())]


def rows_of(extraction: Extraction) -> list[list[str]]:
    """The rows of all tables, single spaces in their cells, empty ones at the end left out."""
    rows = []
    for page in extraction.pages:
        for row in (row for table in page.tables for row in table):
            cells = [" ".join(cell.split()) for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            rows.append(cells)
    return rows


def check_words(truth: dict[str, Any], extraction: Extraction) -> None:
    language = truth.get("language", "")
    text = plain(extraction.text, language)
    if "accuracy" in truth:
        sentences = plain("\n".join(said(truth)), language)
        if language in UNSPACED:  # letters are compared, as words of one letter
            sentences, text = " ".join(sentences), " ".join(text)
        assert accuracy(sentences, text) >= truth["accuracy"], text
        return
    for name in truth.get("says", ()):
        found = [places(plain(words, language), text, language) for words in TEXTS[name]]
        assert [len(starts) for starts in found] == [1] * len(found), text
        assert found == sorted(found), text
    missing = [words for words in truth.get("words", ()) if plain(words, language) not in text]
    assert not missing, text
    assert [words for words in truth.get("absent", ()) if words in text] == []


def places(words: str, text: str, language: str) -> list[int]:
    """Where the words begin in the text; not grown together with what stands beside them."""
    end = "" if language in UNSPACED else r"(?!\w)"
    return [match.start() for match in re.finditer(re.escape(words) + end, text)]


def check_count(truth: dict[str, Any], extraction: Extraction) -> None:
    """Nothing is there twice, and nothing that nobody wrote."""
    cells = [cell for row in rows_in(truth) for cell in row]
    expected = " ".join([*said(truth), *truth.get("words", ()), *cells])
    assert extraction.word_count == pytest.approx(len(expected.split()), rel=0.1, abs=2)


def check(truth: dict[str, Any], extraction: Extraction) -> None:
    assert extraction.kind == truth["kind"]
    assert bool(extraction.text.strip()) != (truth.get("nothing", False) or truth.get("pages") == 0)
    check_words(truth, extraction)
    if not truth.get("loose") and truth.get("language") not in UNSPACED:
        check_count(truth, extraction)
    found = rows_of(extraction)
    assert [row for row in rows_in(truth) if row not in found] == [], found
    assert [page.number for page in extraction.pages] == list(range(1, truth.get("pages", 1) + 1))
    if not truth.get("nothing"):
        assert [page.number for page in extraction.pages if page.ocr] == truth.get("ocr", [])
    if "labels" in truth:
        assert [page.label for page in extraction.pages] == truth["labels"]
    if "language" in truth:
        assert extraction.language == truth["language"]
    wrong = {
        key: extraction.metadata.get(key)
        for key, value in truth.get("metadata", {}).items()
        if not matches(key, value, extraction.metadata.get(key, ""))
    }
    assert not wrong, extraction.metadata
    warnings = " ".join(extraction.warnings)
    assert [words for words in truth.get("warnings", ()) if words not in warnings] == [], warnings
    assert [member.name for member in extraction.members] == truth.get("members", [])


def matches(key: str, expected: str, found: str) -> bool:
    return found.startswith(expected) if key.endswith("_at") else found == expected


def test_every_file_has_its_truth_and_is_listed_for_people() -> None:
    on_disk = {
        path.relative_to(DATA).as_posix()
        for folder in (DATA, DATA / "broken")
        for path in folder.iterdir()
        if path.is_file() and path.name not in NOT_DATA
    }
    assert on_disk == set(TRUTHS)
    readme = (DATA / "README.md").read_text()
    assert [name for name in TRUTHS if f"`{name}`" not in readme] == []


def test_every_kind_is_there_and_the_folder_is_small() -> None:
    assert {TRUTHS[name]["kind"] for name in READABLE} == set(KINDS)
    assert len([name for name in READABLE if not name.startswith("broken/")]) >= 64
    sizes = [path.stat().st_size for path in DATA.rglob("*") if path.is_file()]
    assert max(sizes) < 250_000
    assert sum(sizes) < 4_000_000


@pytest.mark.parametrize("name", READABLE)
def test_what_a_file_says(warm: ProcessorHost, name: str, tmp_path: Path) -> None:
    truth = TRUTHS[name]
    extraction = read(warm, DATA / name, options_for(truth), tmp_path)
    check(truth, extraction)
    assert extraction.quality == truth.get("quality", "full")
    assert [Path(member.path).parent for member in extraction.members] == [
        tmp_path for _ in extraction.members
    ]


@pytest.mark.parametrize("name", REFUSED)
def test_why_a_file_is_refused(warm: ProcessorHost, name: str) -> None:
    with pytest.raises(BadDocument) as caught:
        read(warm, DATA / name)
    assert caught.value.code == TRUTHS[name]["code"]
    assert SENTENCE.fullmatch(caught.value.detail)


@pytest.mark.parametrize("name", LOCKED)
def test_a_password_opens_what_is_locked(warm: ProcessorHost, name: str, tmp_path: Path) -> None:
    truth = TRUTHS[name]["opens"]
    check(truth, read(warm, DATA / name, options_for(truth, PASSWORD), tmp_path))


@pytest.mark.parametrize("name", WRONGLY_OPENED)
def test_a_wrong_password_is_called_one(warm: ProcessorHost, name: str) -> None:
    with pytest.raises(BadDocument) as caught:
        read(warm, DATA / name, Options(password="lamp"))
    assert caught.value.code == "document.password"
    assert SENTENCE.fullmatch(caught.value.detail)


@pytest.mark.parametrize("bomb", bombs.BOMBS, ids=lambda bomb: bomb.__name__)
def test_a_bomb_does_not_go_off(warm: ProcessorHost, bomb: Any, tmp_path: Path) -> None:
    with pytest.raises(BadDocument) as caught:
        read(warm, bomb(tmp_path))
    assert caught.value.code == bombs.BOMBS[bomb]
    assert SENTENCE.fullmatch(caught.value.detail)


@pytest.mark.parametrize("deep", [bombs.html_of_tags, bombs.json_of_lists])
def test_what_stands_100_000_levels_deep_is_read(
    warm: ProcessorHost, deep: Any, tmp_path: Path
) -> None:
    assert "At the very bottom of the well." in read(warm, deep(tmp_path)).text
