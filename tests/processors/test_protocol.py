import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from apps.processors import errors, reading, wire
from apps.processors.protocol import Extraction, OptionError, Options, Page, clean

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"languages": "eng"}, "languages"),
        ({"languages": [1]}, "languages"),
        ({"languages": ["../eng"]}, "languages"),
        ({"languages": ["eng+deu"]}, "languages"),
        ({"languages": ["a" * 33]}, "languages"),
        ({"languages": ["eng", "deu", "fra", "ita", "spa", "por"]}, "languages"),
        ({"pages": 3}, "pages"),
        ({"pages": "one"}, "pages"),
        ({"pages": "0-2"}, "pages"),
        ({"pages": "3-1"}, "pages"),
        ({"pages": "1-"}, "pages"),
        ({"pages": "1234567"}, "pages"),
        ({"pages": "²"}, "pages"),
        ({"ocr": "maybe"}, "ocr"),
        ({"ocr": None}, "ocr"),
        ({"ocr": []}, "ocr"),
    ],
)
def test_unusable_options_are_named(raw: dict[str, object], field: str) -> None:
    with pytest.raises(OptionError) as caught:
        Options.parse(raw)
    assert caught.value.field == field
    assert caught.value.detail.endswith(".")


def test_options_survive_the_pipe() -> None:
    options = Options.parse(
        {"languages": ["eng", "deu", "eng"], "pages": " 1-3, 7", "ocr": "force"}
    )
    assert options == Options(languages=("eng", "deu"), pages="1-3,7", ocr="force")
    assert Options.parse(json.loads(json.dumps(options.to_json()))) == options
    assert Options.parse({}) == Options()


@pytest.mark.parametrize(
    ("pages", "count", "numbers"),
    [
        ("", 3, [1, 2, 3]),
        ("2", 3, [2]),
        ("1-3,7", 10, [1, 2, 3, 7]),
        ("7,1-3,2", 10, [1, 2, 3, 7]),
        ("2-999999", 3, [2, 3]),
        ("5-9", 3, []),
    ],
)
def test_choice_of_pages(pages: str, count: int, numbers: list[int]) -> None:
    assert Options(pages=pages).page_numbers(count) == numbers


def test_an_extraction_survives_the_pipe() -> None:
    extraction = Extraction(
        pages=(Page(1, "one two", ocr=True, confidence=91.5), Page(2, "three")),
        kind="pdf",
        engine="x 1",
        language="en",
        metadata={"title": "T"},
        warnings=("Hm.",),
        quality="partial",
    )
    (message,) = wire.Inbox().feed(wire.pack(extraction.to_json()))
    assert Extraction.from_json(message) == extraction
    assert (extraction.text, extraction.page_count, extraction.word_count) == (
        "one two\n\nthree",
        2,
        3,
    )


@given(some.text(some.characters(exclude_categories=()), max_size=50))
def test_cleaned_text_can_be_stored(text: str) -> None:
    cleaned = clean(text)
    assert "\x00" not in cleaned
    cleaned.encode()
    assert clean(cleaned) == cleaned


@given(some.text(max_size=50))
def test_cleaning_leaves_the_rest_alone(text: str) -> None:
    assert clean(text) == text.replace("\x00", "")


def test_everything_in_an_extraction_is_clean() -> None:
    bad = "a\x00\ud800"
    extraction = Extraction(
        pages=(Page(1, bad),), kind="txt", engine="x", metadata={bad: bad}, warnings=(bad,)
    )
    json.dumps(extraction.to_json(), ensure_ascii=False).encode()
    assert "\x00" not in str(extraction.to_json())


def test_messages_come_in_pieces() -> None:
    inbox = wire.Inbox()
    packed = wire.pack({"a": 1}) + wire.pack({"b": "ü"})
    seen = [message for byte in packed for message in inbox.feed(bytes([byte]))]
    assert seen == [{"a": 1}, {"b": "ü"}]


def test_an_announced_giant_is_refused_at_its_header() -> None:
    with pytest.raises(wire.TooLarge):
        list(wire.Inbox().feed(b"\xff\xff\xff\xff"))


@pytest.mark.parametrize("body", [b"no json", b"[1]", b"\xff", b"[" * 100_000])
def test_nonsense_is_garbled(body: bytes) -> None:
    with pytest.raises(wire.Garbled):
        list(wire.Inbox().feed(len(body).to_bytes(4) + body))


@pytest.mark.parametrize(
    "error",
    [
        errors.BadDocument("document.corrupt", "Broken."),
        errors.Unavailable("x.away", "Away.", 3.0),
        errors.OutOfResources("processor.memory", "Full."),
        errors.ProcessorBug("Oops.", "Traceback"),
    ],
)
def test_errors_survive_the_pipe(error: errors.ProcessingError) -> None:
    back = errors.from_json(json.loads(json.dumps(errors.to_json(error))))
    assert type(back) is type(error)
    assert {**vars(back)} == {**vars(error)}


@pytest.mark.parametrize("wait", [float("inf"), float("nan"), -1.0])
def test_no_wait_is_without_end(wait: float) -> None:
    raw = errors.to_json(errors.Unavailable("x.away", "Away.", wait))
    with pytest.raises(ValueError, match=str(wait)):
        errors.from_json(raw)


@pytest.mark.parametrize(
    "changed",
    [{"number": 0}, {"number": 2**31}, {"confidence": float("nan")}, {"confidence": 101}],
)
def test_a_page_has_numbers_that_can_be_stored(changed: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\d|nan"):
        Page.from_json({"number": 1, "text": "", "ocr": True, **changed})


@pytest.mark.parametrize("number", [float("inf"), float("nan"), -1, 10**400])
def test_a_cost_is_a_number_that_can_be_stored(number: float) -> None:
    with pytest.raises(reading.MALFORMED):
        reading.numbers({"cpu_seconds": number})


def test_what_is_said_besides_the_text_is_short() -> None:
    long = Extraction(
        pages=(),
        kind="txt",
        engine="x",
        metadata={f"{number}": "y" * 20_000 for number in range(200)},
        warnings=("z" * 20_000,) * 200,
    )
    assert (len(long.metadata), len(long.warnings)) == (100, 100)
    assert {len(said) for said in (*long.metadata.values(), *long.warnings)} == {10_000}
    assert Extraction.from_json({**long.to_json(), "language": "x" * 99}).language == "x" * 16


def test_an_unknown_error_is_no_error_of_ours() -> None:
    with pytest.raises(ValueError, match="unknown"):
        errors.from_json({"type": "SystemExit", "code": "x", "detail": "y"})
