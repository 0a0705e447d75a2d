import io
import zipfile
from collections.abc import Callable

import pytest

from apps.processors.archive import MAX_MEMBERS, Unreadable, inflate, inspect
from apps.processors.errors import BadDocument
from apps.processors.kinds import identify

pytestmark = pytest.mark.once


def archive(fill: Callable[[zipfile.ZipFile], None]) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("[Content_Types].xml", "<x/>")
        made.writestr("word/document.xml", "<x/>")
        fill(made)
    return buffer


def zeros(made: zipfile.ZipFile) -> None:
    made.writestr("word/zeros.xml", b"\x00" * (20 * 1024**2))


def many(made: zipfile.ZipFile) -> None:
    for number in range(MAX_MEMBERS):
        made.writestr(f"word/{number}", b"")


def link(made: zipfile.ZipFile) -> None:
    member = zipfile.ZipInfo("word/link")
    member.external_attr = 0o120777 << 16
    made.writestr(member, "/etc/passwd")


def named(name: str) -> Callable[[zipfile.ZipFile], None]:
    return lambda made: made.writestr(name, "x")


@pytest.mark.parametrize(
    ("fill", "code"),
    [
        (zeros, "document.bomb"),
        (many, "document.bomb"),
        (link, "document.unsafe"),
        pytest.param(named("../outside"), "document.unsafe", id="../outside"),
        pytest.param(named("word/../../outside"), "document.unsafe", id="word/../../outside"),
        pytest.param(named("/etc/passwd"), "document.unsafe", id="/etc/passwd"),
        pytest.param(named("C:/windows"), "document.unsafe", id="C:/windows"),
        pytest.param(named("word/\x07bell"), "document.unsafe", id="word/bell"),
    ],
)
def test_bombs_and_traps_are_seen_in_the_directory(
    fill: Callable[[zipfile.ZipFile], None], code: str
) -> None:
    content = archive(fill)
    for look in (inspect, inflate, lambda stream: identify("a.docx", stream)):
        with pytest.raises(BadDocument) as caught:
            look(content)
        assert caught.value.code == code


def test_an_encrypted_member_is_named_so() -> None:
    content = bytearray(archive(lambda made: None).getvalue())
    directory = content.index(b"PK\x01\x02")
    content[directory + 8] |= 1
    with pytest.raises(BadDocument) as caught:
        inspect(io.BytesIO(content))
    assert caught.value.code == "document.encrypted"


def test_a_directory_that_announces_too_much_is_not_loaded() -> None:
    content = bytearray(archive(lambda made: None).getvalue())
    end = content.rindex(b"PK\x05\x06")
    content[end + 10 : end + 12] = (60_000).to_bytes(2, "little")
    with pytest.raises(BadDocument) as caught:
        inspect(io.BytesIO(content))
    assert caught.value.code == "document.bomb"


def test_a_lying_size_is_found_when_unpacking() -> None:
    """The directory says one byte, the member holds a megabyte."""
    content = bytearray(archive(lambda made: made.writestr("word/big", b"x" * 1024**2)).getvalue())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (1).to_bytes(4, "little")
    assert inspect(io.BytesIO(content))
    with pytest.raises(BadDocument) as caught:
        inflate(io.BytesIO(content))
    assert caught.value.code == "document.corrupt"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"\x00" * 100_000])
def test_what_has_no_directory_is_unreadable(content: bytes) -> None:
    with pytest.raises(Unreadable):
        inspect(io.BytesIO(content))


def test_repetitive_but_small_is_fine() -> None:
    content = archive(lambda made: made.writestr("word/small.xml", b"<p/>" * 500_000))
    assert len(inspect(content)) == 3
    inflate(content)
