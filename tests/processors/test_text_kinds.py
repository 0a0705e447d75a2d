"""What is written as text: Markdown, separated values, JSON, XML, HTML. Whole, damaged, hostile."""

from collections.abc import Callable
from pathlib import Path

import pytest
from resiliparse.parse.html import HTMLTree

from apps.processors import htmltables
from apps.processors.errors import BadDocument
from apps.processors.host import ProcessorHost
from apps.processors.html import HtmlProcessor
from apps.processors.protocol import Document, Extraction, Options, Processor
from apps.processors.registry import processor_path_for
from apps.processors.tables import MAX_CELLS
from apps.processors.text import TextProcessor
from tests.processors.conftest import BUDGET

pytestmark = pytest.mark.once

Read = Callable[..., Extraction]


@pytest.fixture(scope="module")
def processors() -> dict[str, Processor]:
    made: tuple[Processor, ...] = (TextProcessor(), HtmlProcessor())
    return {kind: processor for processor in made for kind in processor.accepts}


@pytest.fixture
def read(processors: dict[str, Processor], tmp_path: Path) -> Read:
    """In this process, for there is much to read; that they work in a child is tested below."""

    def run(kind: str, content: str | bytes, name: str = "") -> Extraction:
        path = tmp_path / "document"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        document = Document(path, name or f"document.{kind}", kind)
        return processors[kind].run(document, lambda done, total, note, page=None: None)

    return run


def refusal(read: Read, kind: str, content: str | bytes, name: str = "") -> BadDocument:
    with pytest.raises(BadDocument) as caught:
        read(kind, content, name)
    return caught.value


# --- Markdown ---

SOUP = """---
title: "Fish soup"
author: Example Ltd
date: 2024-03-01
updated: last week
tags: [fish, soup]
---
# Another heading

```
# no heading
| no | table |
|----|-------|
```

| Amount | What \\| where |
|-------:|:--------------|
| 1 kg   | cod           |
2 | onions

After.

a | b
--|--
1 | 2"""


def test_markdown_keeps_its_text_and_says_what_it_is(read: Read) -> None:
    extraction = read("md", SOUP)
    assert extraction.text == SOUP
    assert dict(extraction.metadata) == {
        "encoding": "utf-8",
        "title": "Fish soup",
        "author": "Example Ltd",
        "created_at": "2024-03-01",
        "keywords": "fish, soup",
    }
    assert extraction.pages[0].tables == (
        (("Amount", "What | where"), ("1 kg", "cod"), ("2", "onions")),
        (("a", "b"), ("1", "2")),
    )


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("\n## Second level ##\ntext", "Second level"),
        ("Underlined\n=====\n", "Underlined"),
        ("~~~\n# code\n~~~\n# real", "real"),
        ("| a |\n---\nno heading", None),
        ("only text", None),
        (f"# a{' ' * 200_000}b", f"a{' ' * 499}"),  # in no time
    ],
)
def test_the_title_of_markdown_is_its_first_heading(
    read: Read, source: str, title: str | None
) -> None:
    assert read("md", source).metadata.get("title") == title


# --- separated values ---


def test_cells_are_kept_as_rows(read: Read) -> None:
    extraction = read("csv", 'name;note\n"Doe; Jane";"two\nlines"\n')
    assert extraction.pages[0].tables == ((("name", "note"), ("Doe; Jane", "two\nlines")),)
    assert extraction.metadata["rows"] == "2"
    assert extraction.metadata["delimiter"] == "semicolon"


def test_a_table_that_is_too_large_is_kept_as_text(read: Read) -> None:
    extraction = read("csv", "a,b\n" * (MAX_CELLS // 2 + 1))
    assert extraction.pages[0].tables == ()
    assert extraction.metadata["rows"] == str(MAX_CELLS // 2 + 1)
    assert extraction.warnings == ("Tables beyond 200,000 cells are kept as text only.",)


def test_a_quotation_mark_that_never_ends_is_noted(read: Read) -> None:
    extraction = read("csv", 'a,"b\n' + "c,d\n" * 40_000)
    assert extraction.text.startswith('a,"b\n')
    assert extraction.pages[0].tables == ()
    assert "A cell is longer" in extraction.warnings[0]


# --- JSON ---


@pytest.mark.parametrize(
    ("source", "name", "said"),
    [
        ('{"a": [1, {"c": 2}], "b": null}', "", {"type": "object", "keys": "2"}),
        ("[1, 2, 3]", "", {"type": "array", "values": "3"}),
        ('"words"', "", {"type": "value"}),
        ("[" + "9" * 10_000 + "]", "", {"type": "array", "values": "1"}),
        ('{"a": 1}\n\n{"a": 2}\n', "a.jsonl", {"lines": "2"}),
        ('{"a": 1}\n{"a": 2}', "", {"lines": "2"}),
    ],
)
def test_json_is_checked_and_counted(
    read: Read, source: str, name: str, said: dict[str, str]
) -> None:
    extraction = read("json", source, name)
    assert extraction.text == source
    assert dict(extraction.metadata) == {"encoding": "utf-8", **said}


@pytest.mark.parametrize(
    ("source", "name", "place"),
    [
        ('{"a": 1,\n "b": }', "", "line 2, column 7"),
        ('{"a": 1} and more', "", "line 1, column 10"),
        ('{"a": 1}\n\n{"b": 2', "a.ndjson", "line 3, column 8"),
        ('["never ends', "", "line 1, column 2"),
    ],
)
def test_broken_json_says_where(read: Read, source: str, name: str, place: str) -> None:
    refused = refusal(read, "json", source, name)
    assert refused.code == "document.corrupt"
    assert place in refused.detail


def test_json_nested_too_deep_to_check_is_kept(read: Read) -> None:
    extraction = read("json", "[" * 100_000)
    assert extraction.text == "[" * 100_000
    assert "nested too deep" in extraction.warnings[0]


# --- XML ---


def test_xml_gives_its_text_by_element(read: Read) -> None:
    extraction = read(
        "xml",
        '<?xml version="1.0" encoding="iso-8859-2"?><!-- no --><x:doc xmlns:x="urn:x">'
        "<meta><title>\n  Žlutý\n  kůň </title></meta><p>Hello <b>big<!-- no --></b> wo<?no?>rld,\n"
        "and &amp; more</p><row><c>1</c><c>2</c></row><none/></x:doc>".encode("iso8859_2"),
    )
    assert extraction.text == "Žlutý\nkůň\nHello big world,\nand & more\n1\n2"
    assert dict(extraction.metadata) == {
        "encoding": "iso-8859-2",
        "root": "doc",
        "title": "Žlutý kůň",
    }


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            '<!DOCTYPE a [<!ENTITY by "Example &#169;">]><a>By &by;, <b/>&by;</a>',
            "By Example ©, Example ©",
        ),
        ('<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a>a&eacute;b &none;</a>', "aéb &none;"),
        ('<a b="only an attribute"/>', ""),
    ],
)
def test_entities_of_xml(read: Read, source: str, text: str) -> None:
    assert read("xml", source).text == text


@pytest.mark.parametrize(
    "content",
    [
        '<?xml version="1.0" encoding="utf-8"?><a>Fußgänger können weiter hinüber</a>'.encode(
            "cp1252"
        ),
        '<?xml version="1.0" encoding="x-none"?><a>Fußgänger können weiter hinüber</a>'.encode(),
        "<a>Fußgänger können weiter hinüber</a>".encode("utf-16"),
    ],
    ids=["a lie", "unknown", "none"],
)
def test_what_xml_says_of_its_encoding_may_be_wrong(read: Read, content: bytes) -> None:
    assert read("xml", content).text == "Fußgänger können weiter hinüber"


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><a>&l9;</a>', "swell"),
        (f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><a b="&l9;"/>', "swell"),
        (f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><a/>', "swell"),
        ('<!DOCTYPE a [<!ENTITY l "&m;"><!ENTITY m "&l;">]><a>&l;</a>', "swell"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "other files"),
        ('<!DOCTYPE a [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><a/>', "other files"),
        ("<a>" * 100_000, "nested deeper"),
    ],
    ids=["laughs", "in an attribute", "unused", "loop", "file", "parameter", "depth"],
)
def test_xml_that_is_out_for_something_is_refused(read: Read, source: str, reason: str) -> None:
    refused = refusal(read, "xml", source)
    assert refused.code == "document.unsafe"
    assert reason in refused.detail
    assert "root:" not in refused.detail


@pytest.mark.parametrize(
    "content", [b"<a>\n<b>\n</a>", '<?xml version="1.0" encoding="x-none"?>\n\n<ä'.encode()]
)
def test_broken_xml_says_where(read: Read, content: bytes) -> None:
    refused = refusal(read, "xml", content)
    assert refused.code == "document.corrupt"
    assert "line 3, column" in refused.detail


# --- HTML ---

PAGE = """<html><head><title>Tides</title><link rel=x><meta name="Author" content="Example  Ltd">
<meta name=description content="When to sail"><meta name=keywords content="tide, sea">
<meta property="article:published_time" content="2024-03-01T10:00:00Z">
<meta name="dcterms.modified" content="yesterday"><meta name=author content="Another">
<body><table><tr><td><table><tr><th>Day<th hidden>no</tr><tr><td>1<br>2<td><b>b</b>old<script>no
</script></table></table><table></table>"""


def test_a_page_says_what_it_is_and_has_tables(read: Read) -> None:
    extraction = read("html", PAGE)
    said = dict(extraction.metadata)
    del said["encoding"]
    assert said == {
        "title": "Tides",
        "author": "Example Ltd",
        "subject": "When to sail",
        "keywords": "tide, sea",
        "created_at": "2024-03-01T10:00:00Z",
    }
    assert extraction.pages[0].tables == ((("Day", ""), ("1 2", "bold")),)


def test_tables_within_tables_within_tables(read: Read) -> None:
    extraction = read("html", "<table><tr><td>" * 1_000 + "deep")
    assert extraction.text == "deep"
    assert extraction.pages[0].tables == ((("deep",),),)


def test_looking_for_tables_ends_when_no_more_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(htmltables, "MAX_CELLS", 10)
    tree = HTMLTree.parse("<table>" + "<tr><td>1<td>2" * 20)
    assert sum(len(row) for table in htmltables.tables(tree, ()) for row in table) == 12


@pytest.mark.parametrize("encoding", ["cp1255", "utf-8", "utf-16"])
def test_a_page_may_lie_about_its_character_set(read: Read, encoding: str) -> None:
    sentence = "יש להחזיר את הספרים בתוך שלושה שבועות, אחר כך הספרייה גובה תשלום על כל יום."
    page = f'<html><head><meta charset="windows-1252"></head><p>{sentence * 3}</p></html>'
    assert sentence in read("html", page.encode(encoding)).text


def test_only_languages_of_two_letters_are_named(read: Read) -> None:
    assert read("txt", "xq zw kv jj qq wv xz kq zx vb").language == ""


@pytest.mark.parametrize("kind", ["txt", "md", "csv", "json", "xml", "html"])
def test_nothing_but_blanks_is_empty(read: Read, kind: str) -> None:
    assert refusal(read, kind, " \n\t ".encode("utf-16")).code == "document.empty"
    assert refusal(read, kind, b" \n").code == "document.empty"


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        ("txt", "über", "über"),
        ("md", "# über\n\n|a|\n|-|", "# über\n\n|a|\n|-|"),
        ("csv", "ü;b", "ü;b"),
        ("json", '{"ü": 1}', '{"ü": 1}'),
        ("xml", "<a>über<b/>&#33;</a>", "über!"),
        ("html", "<p>über<table><tr><td>a<br>b", "über\na\nb"),
    ],
)
def test_in_a_child_nothing_is_missing(
    warm: ProcessorHost, tmp_path: Path, kind: str, content: str, text: str
) -> None:
    source = tmp_path / "document"
    source.write_bytes(content.encode("cp1252"))
    outcome = warm.run(
        processor=processor_path_for("extract", kind),
        source=source,
        name=f"document.{kind}",
        kind=kind,
        options=Options(),
        owner="a",
        budget=BUDGET,
        on_progress=lambda done, total, note: None,
        should_stop=lambda: False,
    )
    assert outcome.extraction.text == text
