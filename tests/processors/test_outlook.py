"""Messages of Outlook, written by the project after [MS-OXMSG]."""

import struct
from datetime import UTC, datetime

import pytest

from apps.processors import outlook
from apps.processors.errors import BadDocument
from apps.processors.host import ProcessorHost
from tests.data.make.compound import packed
from tests.data.make.outlook import BODY, CLASS, CODE_PAGE, DELIVERED, HTML, SUBMITTED, message
from tests.processors.opening import Opener

pytestmark = pytest.mark.once

Streams = dict[str, bytes]
FIRST = "__attach_version1.0_#00000000"


@pytest.fixture(scope="module")
def open_(warm: ProcessorHost, tmp_path_factory: pytest.TempPathFactory) -> Opener:
    return Opener(warm, tmp_path_factory.mktemp("messages"))


def code_paged(streams: Streams, codec: str) -> Streams:
    """As an older Outlook writes it: strings of one byte or two a letter."""
    return {
        name.removesuffix("F") + "E": content.decode("utf-16-le").encode(codec)
        for name, content in streams.items()
        if name.endswith("001F")
    } | {name: content for name, content in streams.items() if not name.endswith("001F")}


def test_text_headers_and_attachments(open_: Opener) -> None:
    attached = {"tides.csv": b"a,b", "Größe.txt": b"small"}
    found = open_("msg", packed(message("Größe, 船", {BODY: "Good\r\nmorning"}, attached)))
    assert found.contents == attached
    assert found.extraction.text == "Good\nmorning"
    assert found.extraction.metadata == {
        "from": "Stores <stores@example.com>",
        "to": "Office",
        "subject": "Größe, 船",
        "title": "Größe, 船",
        "author": "Stores <stores@example.com>",
        "created_at": "2024-03-04T09:30:00Z",
        "attachments": "tides.csv, Größe.txt",
    }
    assert (found.extraction.quality, found.extraction.warnings) == ("full", ())


@pytest.mark.parametrize(
    ("code_page", "codec"), [(1251, "cp1251"), (932, "cp932"), (65001, "utf-8"), (4242, "utf-8")]
)
def test_strings_in_a_code_page(open_: Opener, code_page: int, codec: str) -> None:
    text = "Лодки и船" if codec == "utf-8" else "Лодки в гавани"
    streams = message(text, {BODY: text, CODE_PAGE: code_page}, {"a.txt": b"x"})
    found = open_("msg", packed(code_paged(streams, codec)))
    assert (found.extraction.text, found.extraction.metadata["title"]) == (text, text)
    assert found.names == ["a.txt"]


@pytest.mark.parametrize("codec", ["utf-8", "cp1252"])
def test_html_is_read_where_there_is_no_text(open_: Opener, codec: str) -> None:
    page = '<p>Größe</p><img src="cid:logo">'.encode(codec)
    streams = message("s", {HTML: page, CODE_PAGE: 1252}, {"l.png": b"x", "p.png": b"y"})
    streams[f"{FIRST}/__substg1.0_3712001F"] = "logo".encode("utf-16-le")
    found = open_("msg", packed(streams))
    assert found.extraction.text == "Größe"
    assert found.names == ["p.png"]


def test_rtf_is_read_where_there_is_nothing_else(open_: Opener) -> None:
    rtf = rb"{\rtf1\ansi\ansicpg1252\pard Gr\'f6\'dfe\par}"
    body = struct.pack("<2L4sL", len(rtf) + 12, len(rtf), b"MELA", 0) + rtf
    found = open_("msg", packed(message("s", {outlook.RTF_BODY: body}, {})))
    assert found.extraction.text == "Größe"


@pytest.mark.parametrize(
    ("packed_rtf", "rtf"),
    [  # the examples of [MS-OXRTFCP] 3.2.1 and 3.2.2
        (
            "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c6"
            "47d0a800fa0",
            b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n",
        ),
        (
            "1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0",
            b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}",
        ),
        ("080000001c0000004c5a467500000000004142", b"AB"),  # cut short
    ],
)
def test_compressed_rtf(packed_rtf: str, rtf: bytes) -> None:
    assert outlook.unpacked_rtf(bytes.fromhex(packed_rtf)) == rtf


def test_messages_inside_are_named(open_: Opener) -> None:
    streams = message("s", {BODY: "Good morning"}, {"Re: rope": b"", "a.txt": b"x"})
    del streams[f"{FIRST}/__substg1.0_37010102"]
    inner = message("inner", {BODY: "inside"}, {})
    streams |= {f"{FIRST}/__substg1.0_3701000D/{name}": value for name, value in inner.items()}
    found = open_("msg", packed(streams))
    assert found.codes == {"Re: rope": "document.unsupported"}
    assert found.contents == {"a.txt": b"x"}
    assert found.extraction.quality == "partial"
    assert "Re: rope" in found.extraction.warnings[0]


def test_a_message_that_says_little_is_read(open_: Opener) -> None:
    far = datetime(1601, 1, 1, tzinfo=UTC)
    streams = message("", {BODY: "", SUBMITTED: far, DELIVERED: far}, {"": b"x"})
    streams = {name: value for name, value in streams.items() if "_0C1A" not in name}
    for name in [name for name in streams if name.startswith(FIRST) and "_370401F" in name]:
        del streams[name]
    found = open_("msg", packed(streams))
    assert found.extraction.metadata["from"] == "<stores@example.com>"
    assert "created_at" not in found.extraction.metadata
    assert found.extraction.warnings == ("There is no text in the message.",)
    assert found.names == ["FILE0."]


def test_more_than_five_hundred_attachments_are_counted(open_: Opener) -> None:
    streams = message("s", {BODY: "x"}, {f"{number}.txt": b"x" for number in range(501)})
    found = open_("msg", packed(streams))
    assert len(found.members) == 500
    assert found.extraction.warnings == ("Of 501 attachments 500 are read.",)


def refusal(open_: Opener, content: bytes) -> str:
    with pytest.raises(BadDocument) as caught:
        open_("msg", content)
    return caught.value.code


def test_what_cannot_be_read_has_a_reason(open_: Opener) -> None:
    whole = packed(message("s", {BODY: "x" * 9000}, {}))
    assert refusal(open_, whole[: len(whole) // 3]) == "document.corrupt"
    assert refusal(open_, b"no compound file at all") == "document.corrupt"
    assert refusal(open_, packed({"__properties_version1.0": bytes(32)})) == "document.corrupt"
    sealed = message("s", {CLASS: "IPM.Note.SMIME"}, {"smime.p7m": b"x"})
    assert refusal(open_, packed(sealed)) == "document.encrypted"
