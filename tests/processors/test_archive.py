import io
import random
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from apps.processors import archive as archive_module
from apps.processors.archive import (
    LARGE_END_RECORD,
    LARGE_LOCATOR,
    MAX_MEMBERS,
    Unreadable,
    inflate,
    inspect,
    is_encrypted,
    unpack,
)
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


def nameless(made: zipfile.ZipFile) -> None:
    member = zipfile.ZipInfo("x")
    member.filename = ""
    made.writestr(member, "x")


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(BadDocument) as caught:
        act()
    return caught.value.code


@pytest.mark.parametrize(
    ("fill", "code"),
    [
        (zeros, "document.bomb"),
        (many, "document.bomb"),
        (link, "document.unsafe"),
        (nameless, "document.unsafe"),
        pytest.param(named("../outside"), "document.unsafe", id="../outside"),
        pytest.param(named("word/../../outside"), "document.unsafe", id="word/../../outside"),
        pytest.param(named("/etc/passwd"), "document.unsafe", id="/etc/passwd"),
        pytest.param(named("C:/windows"), "document.unsafe", id="C:/windows"),
        pytest.param(named("word\\..\\..\\x"), "document.unsafe", id="backslashes"),
        pytest.param(named("word/" + "x" * 1000), "document.unsafe", id="long name"),
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


def test_an_encrypted_member_is_reported_and_inflated_by_nobody() -> None:
    content = bytearray(archive(lambda made: None).getvalue())
    directory = content.index(b"PK\x01\x02")
    content[directory + 8] |= 1
    locked, free = inspect(io.BytesIO(content))
    assert (is_encrypted(locked), is_encrypted(free)) == (True, False)
    assert code_of(lambda: inflate(io.BytesIO(content))) == "document.encrypted"


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


def test_what_lies_beyond_the_announced_size_is_found_even_with_a_right_checksum() -> None:
    """zipfile would take the first byte for the whole member, another library all the rest."""
    content = bytearray(archive(lambda made: made.writestr("word/big", b"x" * 1024**2)).getvalue())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (1).to_bytes(4, "little")
    content[entry + 16 : entry + 20] = zlib.crc32(b"x").to_bytes(4, "little")
    assert code_of(lambda: inflate(io.BytesIO(content))) == "document.corrupt"


def test_less_than_was_announced_is_damage() -> None:
    content = bytearray(archive(lambda made: made.writestr("word/text", b"x" * 100)).getvalue())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (101).to_bytes(4, "little")
    assert code_of(lambda: inflate(io.BytesIO(content))) == "document.corrupt"


def test_a_name_that_goes_on_behind_a_nul_is_unsafe() -> None:
    content = archive(named("word/a_b")).getvalue().replace(b"a_b", b"a\x00b")
    assert [member.filename for member in zipfile.ZipFile(io.BytesIO(content)).infolist()][-1] == (
        "word/a"
    )
    assert code_of(lambda: inspect(io.BytesIO(content))) == "document.unsafe"


@pytest.mark.parametrize(("noise", "is_bomb"), [(75_000, False), (40_000, True)])
def test_what_a_hundredth_unpacks_to_is_a_bomb(noise: int, is_bomb: bool) -> None:
    content = random.Random(1).randbytes(noise) + bytes(6 * 1024**2)
    packed = archive(lambda made: made.writestr("word/zeros", content))
    if is_bomb:
        assert code_of(lambda: inspect(packed)) == "document.bomb"
    else:
        assert len(inspect(packed)) == 3


def test_all_members_together_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    content = archive(lambda made: made.writestr("word/big", b"x" * 1000))
    assert len(inspect(content)) == 3
    monkeypatch.setattr(archive_module, "MAX_TOTAL_BYTES", 1000)
    assert code_of(lambda: inspect(content)) == "document.bomb"


def test_members_that_share_their_bytes_are_a_bomb() -> None:
    """Ten entries of the directory, one member."""
    content = archive(lambda made: made.writestr("x", b"y" * 3_000_000)).getvalue()
    end = content.rindex(b"PK\x05\x06")
    entry = content.rindex(b"PK\x01\x02")
    directory_at = content.index(b"PK\x01\x02")
    directory = content[directory_at:entry] + content[entry:end] * 10
    record = bytearray(content[end:])
    record[8:12] = (12).to_bytes(2, "little") * 2
    record[12:16] = len(directory).to_bytes(4, "little")
    many = content[:directory_at] + directory + bytes(record)
    assert len(zipfile.ZipFile(io.BytesIO(many)).infolist()) == 12
    assert code_of(lambda: inspect(io.BytesIO(many))) == "document.bomb"


def test_a_member_that_claims_the_next_one_for_itself_is_a_bomb() -> None:
    content = bytearray(archive(lambda made: None).getvalue())
    entry = content.index(b"PK\x01\x02")
    packed = int.from_bytes(content[entry + 20 : entry + 24], "little") + 40
    content[entry + 20 : entry + 24] = packed.to_bytes(4, "little")
    assert code_of(lambda: inspect(io.BytesIO(content))) == "document.bomb"


def test_a_member_beyond_the_end_is_unreadable() -> None:
    content = bytearray(archive(lambda made: None).getvalue())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 42 : entry + 46] = (1 << 30).to_bytes(4, "little")
    with pytest.raises(Unreadable):
        inspect(io.BytesIO(content))


def large(members: int, directory_bytes: int, *, signature: bytes = b"PK\x06\x06") -> io.BytesIO:
    """With the end records of large archives, which say how much there is; the last says little."""
    content = archive(lambda made: None).getvalue()
    end = content.rindex(b"PK\x05\x06")
    directory_at = content.index(b"PK\x01\x02")
    record = LARGE_END_RECORD.pack(
        signature, 44, 45, 45, 0, 0, members, members, directory_bytes, directory_at
    )
    locator = LARGE_LOCATOR.pack(b"PK\x06\x07", 0, end, 1)
    return io.BytesIO(content[:end] + record + locator + content[end:])


def test_the_records_of_large_archives_count() -> None:
    honest = archive(lambda made: None).getvalue()
    size = honest.rindex(b"PK\x05\x06") - honest.index(b"PK\x01\x02")
    assert len(inspect(large(2, size))) == 2
    assert code_of(lambda: inspect(large(10**12, size))) == "document.bomb"
    assert code_of(lambda: inspect(large(2, 2**60))) == "document.bomb"
    for broken in (large(2, size + 1000), large(2, size, signature=b"none")):
        with pytest.raises(Unreadable):
            inspect(broken)


def packed_by(method: int) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made:
        made.writestr("a", b"x" * 1000)
    return buffer


@pytest.mark.parametrize(
    ("method", "name"), [(zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "LZMA")]
)
def test_what_may_swell_in_one_step_is_not_unpacked(method: int, name: str) -> None:
    with pytest.raises(BadDocument, match=rf"document\.unsupported.*{name}"):
        inflate(packed_by(method))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_unpacking_one_member_up_to_a_limit(method: int) -> None:
    with zipfile.ZipFile(packed_by(method)) as opened:
        [member] = opened.infolist()
        target = io.BytesIO()
        assert unpack(opened, member, target, 1000) == 1000
        assert target.getvalue() == b"x" * 1000
        short = io.BytesIO()
        assert code_of(lambda: unpack(opened, member, short, 999)) == "document.bomb"
        assert len(short.getvalue()) <= 999


def test_a_disk_that_is_full_is_no_fault_of_the_document() -> None:
    class Full(io.BytesIO):
        def write(self, data: Any, /) -> int:
            raise OSError(28, "No space left on device")

    with (
        zipfile.ZipFile(packed_by(zipfile.ZIP_STORED)) as opened,
        pytest.raises(OSError, match="28"),
    ):
        unpack(opened, opened.infolist()[0], Full(), 1000)


def test_two_members_of_one_name_are_both_counted() -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = archive(named("word/document.xml"))
    assert len(inspect(content)) == 3
    inflate(content)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"\x00" * 100_000])
def test_what_has_no_directory_is_unreadable(content: bytes) -> None:
    with pytest.raises(Unreadable):
        inspect(io.BytesIO(content))


def test_repetitive_but_small_is_fine() -> None:
    content = archive(lambda made: made.writestr("word/small.xml", b"<p/>" * 500_000))
    assert len(inspect(content)) == 3
    inflate(content)
