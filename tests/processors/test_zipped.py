"""ZIP archives as people send them: foreign names, passwords, damage."""

import io
import zipfile
import zlib
from pathlib import Path

import pytest
import pyzipper

from apps.processors import zipped as zipped_module
from apps.processors.errors import BadDocument, Unavailable
from apps.processors.host import ProcessorHost
from apps.processors.outgoing import Target
from apps.processors.protocol import Document
from apps.processors.zipped import ZipProcessor
from tests.processors.opening import Opener

pytestmark = pytest.mark.once

LETTER, TABLE = b"Dear reader", b"a,b\n1,2\n"
PASSWORD = "Schl\xfcssel 7"


@pytest.fixture(scope="module")
def open_(warm: ProcessorHost, tmp_path_factory: pytest.TempPathFactory) -> Opener:
    return Opener(warm, tmp_path_factory.mktemp("archives"))


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as target:
        for name, content in members.items():
            target.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def named_in(encoding: str, names: list[str]) -> bytes:
    """An archive whose names are in a character set that is not said, as Windows writes them."""
    places = {name: f"{number:_>{len(name.encode(encoding))}}" for number, name in enumerate(names)}
    packed = zipped(dict.fromkeys(places.values(), b"text"))
    for name, place in places.items():
        packed = packed.replace(place.encode(), name.encode(encoding))
    return packed


def aes(members: dict[str, tuple[bytes, str]], encoding: str = "utf-8") -> bytes:
    """Members with a password each; "" for none."""
    buffer = io.BytesIO()
    with pyzipper.AESZipFile(buffer, "w") as target:
        for name, (content, password) in members.items():
            target.setpassword(password.encode(encoding) or None)
            target.setencryption(pyzipper.WZ_AES if password else None)
            target.writestr(name, content)
    return buffer.getvalue()


def zip_crypto(name: str, content: bytes, password: bytes) -> bytes:
    """In the old cipher, which no library here writes: a stored member, made longer by the
    cipher's header, flagged, and encrypted in place."""
    header = bytes(11) + bytes([zlib.crc32(content) >> 24])
    packed = bytearray(zipped({name: header + content}, zipfile.ZIP_STORED))
    directory = packed.rindex(b"PK\x01\x02")
    for flag, crc, size in ((6, 14, 22), (directory + 8, directory + 16, directory + 24)):
        packed[flag] |= 1
        packed[crc : crc + 4] = zlib.crc32(content).to_bytes(4, "little")
        packed[size : size + 4] = len(content).to_bytes(4, "little")
    start = 30 + len(name)
    packed[start : start + 12 + len(content)] = encrypted(header + content, password)
    return bytes(packed)


def encrypted(plain: bytes, password: bytes) -> bytes:
    """APPNOTE.TXT 6.1."""

    def step(byte: int) -> None:
        keys[0] = ~zlib.crc32(bytes([byte]), ~keys[0] & 0xFFFFFFFF) & 0xFFFFFFFF
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = ~zlib.crc32(bytes([keys[1] >> 24]), ~keys[2] & 0xFFFFFFFF) & 0xFFFFFFFF

    keys = [305419896, 591751049, 878082192]
    for byte in password:
        step(byte)
    cipher = bytearray()
    for byte in plain:
        low = keys[2] | 2
        cipher.append(byte ^ (((low * (low ^ 1)) >> 8) & 0xFF))
        step(byte)
    return bytes(cipher)


def refusal(open_: Opener, content: bytes, **options: object) -> str:
    with pytest.raises(BadDocument) as caught:
        open_("zip", content, **options)
    return caught.value.code


def test_members_come_out_as_they_went_in(open_: Opener) -> None:
    found = open_("zip", zipped({"letters/dear.txt": LETTER, "table.csv": TABLE, "letters/": b""}))
    assert found.contents == {"letters/dear.txt": LETTER, "table.csv": TABLE}
    assert found.extraction.metadata == {"members": "2"}
    assert (found.extraction.quality, found.extraction.pages) == ("full", ())
    assert found.extraction.engine.startswith("zipfile 3.")
    assert open_.progress[-1][:2] == (2, 2)


def test_two_members_of_one_name_both_come(open_: Opener) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        packed = zipped_pairs([("a.txt", b"one"), ("a.txt", b"two")])
    found = open_("zip", packed)
    assert found.names == ["a.txt", "a.txt"]
    assert [Path(member.path).read_bytes() for member in found.members] == [b"one", b"two"]


def zipped_pairs(pairs: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, content in pairs:
            target.writestr(name, content)
    return buffer.getvalue()


def test_what_the_system_left_there_is_passed_over(open_: Opener) -> None:
    junk = ["__MACOSX/._a.txt", ".DS_Store", "x/Thumbs.db", "x/desktop.ini", "~$a.docx", "x/._a"]
    found = open_("zip", zipped({**dict.fromkeys(junk, b"junk"), "x/a.txt": LETTER}))
    assert found.names == ["x/a.txt"]
    assert refusal(open_, zipped(dict.fromkeys(junk, b"junk"))) == "document.empty"


def test_an_empty_archive_is_empty(open_: Opener) -> None:
    assert refusal(open_, zipped({})) == "document.empty"


def test_more_than_five_hundred_are_too_many(open_: Opener) -> None:
    many = zipped({f"{number}.txt": b"x" for number in range(501)})
    assert refusal(open_, many) == "document.too_many_members"


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("utf-8", ["Übersicht.txt", "приложение.txt"]),
        ("cp437", ["Rechnung März.txt"]),
        ("cp850", ["Übersicht Grün.txt", "Straße.txt"]),
        ("cp1252", ["Übersicht Grün.txt", "Straße.txt"]),
        ("cp932", ["報告書.txt", "見積書 2024年.txt", "議事録.txt"]),
        ("cp866", ["Отчёт за январь.txt", "Договор.txt"]),
        ("big5", ["報告.txt", "合約.txt"]),
    ],
)
def test_names_are_read_in_the_character_set_they_are_in(
    open_: Opener, encoding: str, names: list[str]
) -> None:
    assert open_("zip", named_in(encoding, names)).names == names


def test_names_marked_as_utf_8_are_and_backslashes_part_folders(open_: Opener) -> None:
    assert open_("zip", zipped({"Briefe\\März.txt": LETTER})).names == ["Briefe/März.txt"]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "cp437"])
def test_a_password_opens_aes(open_: Opener, encoding: str) -> None:
    packed = aes({"a.txt": (LETTER, PASSWORD), "b.txt": (TABLE, "")}, encoding)
    found = open_("zip", packed, password=PASSWORD)
    assert found.contents == {"a.txt": LETTER, "b.txt": TABLE}
    assert found.extraction.engine.startswith("pyzipper ")
    assert refusal(open_, packed) == "document.encrypted"


def test_a_password_opens_zip_crypto(open_: Opener) -> None:
    packed = zip_crypto("a.txt", LETTER, b"open")
    assert open_("zip", packed, password="open").contents == {"a.txt": LETTER}
    assert refusal(open_, packed, password="shut") == "document.password"
    assert refusal(open_, packed) == "document.encrypted"


def test_members_with_another_password_are_named(open_: Opener) -> None:
    packed = aes({"a.txt": (LETTER, PASSWORD), "b.txt": (TABLE, "another")})
    found = open_("zip", packed, password=PASSWORD)
    assert found.contents == {"a.txt": LETTER}
    assert found.codes == {"b.txt": "document.password"}
    assert found.extraction.quality == "partial"
    assert refusal(open_, packed, password="neither") == "document.password"


def test_damaged_members_are_named_and_the_others_come(open_: Opener) -> None:
    packed = zipped({"a.txt": b"damaged here", "b.txt": LETTER}, zipfile.ZIP_STORED)
    found = open_("zip", packed.replace(b"damaged", b"DAMAGED"))
    assert found.codes == {"a.txt": "document.corrupt"}
    assert found.contents == {"b.txt": LETTER}
    assert found.extraction.warnings == ("1 of 2 documents in it could not be taken out.",)


def test_aes_shows_that_somebody_changed_it(open_: Opener) -> None:
    packed = bytearray(aes({"a.txt": (LETTER * 9, "x"), "b.txt": (TABLE, "x")}))
    packed[30 + len("a.txt") + 40] ^= 1
    assert open_("zip", bytes(packed), password="x").codes == {"a.txt": "document.corrupt"}


def test_a_member_that_is_larger_than_a_file_may_be_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(zipped_module, "WRITTEN_FILE_BYTES", len(TABLE))
    source = tmp_path / "a.zip"
    source.write_bytes(zipped({"a.txt": LETTER, "b.txt": TABLE}))
    document = Document(path=source, name="a.zip", kind="zip")
    found = ZipProcessor().run(document, lambda done, total, note, page=None: None)
    assert [(member.name, member.path, member.code) for member in found.members] == [
        ("a.txt", "", "document.too_large"),
        ("b.txt", "2", ""),
    ]


@pytest.mark.parametrize("cut", [0, 30, 200])
def test_a_truncated_archive_is_damaged(open_: Opener, cut: int) -> None:
    packed = zipped({f"{number}.txt": LETTER for number in range(9)})
    assert refusal(open_, packed[:cut] or b"PK") == "document.corrupt"


def test_a_full_disk_may_pass() -> None:
    full = Target(Path("/dev/full"), lambda: None)
    with full, pytest.raises(Unavailable, match="no room"):
        full.write(b"x")
