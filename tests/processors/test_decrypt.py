"""Documents behind passwords, and what pretends to be one."""

import io
import re
import zipfile
from pathlib import Path

import pytest
from msoffcrypto.format.ooxml import OOXMLFile

from apps.processors.decrypt import Decrypter
from apps.processors.errors import BadDocument
from tests.processors.office_files import packed, part_of, repacked, word_file

pytestmark = pytest.mark.once

DATA = Path(__file__).parents[1] / "data" / "office"
MANIFEST = "META-INF/manifest.xml"


@pytest.fixture(scope="module")
def decrypter() -> Decrypter:
    return Decrypter()


@pytest.fixture(scope="module")
def agile() -> bytes:
    closed = io.BytesIO()
    OOXMLFile(io.BytesIO(word_file())).encrypt("lantern-7", closed)
    return closed.getvalue()


def code(decrypter: Decrypter, content: bytes, kind: str, password: str = "") -> str:
    with pytest.raises(BadDocument) as caught:
        decrypter.opened(content, kind, password)
    return caught.value.code


def test_a_word_file_opens_with_its_password_only(decrypter: Decrypter, agile: bytes) -> None:
    opened = decrypter.opened(agile, "docx", "lantern-7")
    assert "A heading" in part_of(opened, "word/document.xml")
    assert code(decrypter, agile, "docx") == "document.encrypted"
    assert code(decrypter, agile, "docx", "lantern-8") == "document.password"


@pytest.mark.parametrize("rounds", [b'"9999999"', b"'9999999'"])
def test_a_password_without_end_is_refused_at_once(
    decrypter: Decrypter, agile: bytes, rounds: bytes
) -> None:
    endless = re.sub(rb'spinCount="100000"', b"spinCount=" + rounds, agile)
    endless = endless.replace(b' keyBits="256"', b'keyBits="256"', 1)
    assert code(decrypter, endless, "docx", "lantern-7") == "document.corrupt"


@pytest.mark.parametrize("name", ["locked.doc", "locked.xls"])
def test_old_files_open_with_their_password_only(decrypter: Decrypter, name: str) -> None:
    content, kind = (DATA / name).read_bytes(), name.rpartition(".")[2]
    assert decrypter.opened(content, kind, "lantern-7") != content
    assert code(decrypter, content, kind) == "document.encrypted"
    assert code(decrypter, content, kind, "no") == "document.password"


def test_what_is_not_protected_stays_as_it_is(decrypter: Decrypter) -> None:
    old = (DATA / "rules.doc").read_bytes()
    assert decrypter.opened(old, "doc", "any") == old
    assert decrypter.opened(b"PK\x03\x04", "odt", "any") == b"PK\x03\x04"
    assert decrypter.opened(b"PK\x03\x04", "docx", "any") == b"PK\x03\x04"
    plain = packed({"content.xml": "<x/>"})
    assert decrypter.opened(plain, "odt", "any") == plain


def test_a_damaged_container_is_damaged(decrypter: Decrypter, agile: bytes) -> None:
    assert code(decrypter, agile[:2000], "docx", "lantern-7") == "document.corrupt"
    half = agile[: len(agile) // 2]
    assert code(decrypter, half, "docx", "lantern-7") == "document.corrupt"
    broken = (DATA / "rules.doc").read_bytes()[:600]
    assert decrypter.opened(broken, "doc", "") == broken


# --- ODF ---


@pytest.fixture(scope="module")
def closed() -> bytes:
    """Written by LibreOffice."""
    return (DATA / "locked.odt").read_bytes()


def with_manifest(content: bytes, old: str, new: str) -> bytes:
    manifest = part_of(content, MANIFEST)
    assert re.search(old, manifest)
    return repacked(content, {MANIFEST: re.sub(old, new, manifest)})


def test_an_open_document_opens_with_its_password_only(decrypter: Decrypter, closed: bytes) -> None:
    opened = decrypter.opened(closed, "odt", "lantern-7")
    assert "The lamp is lit at dusk." in part_of(opened, "content.xml")
    with zipfile.ZipFile(io.BytesIO(opened)) as package:
        assert all(name.endswith((".xml", "mimetype")) for name in package.namelist())
    assert code(decrypter, closed, "odt") == "document.encrypted"
    assert code(decrypter, closed, "odt", "no") == "document.password"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("#aes256-cbc", "#aes256-gcm", "document.encrypted"),
        ("PBKDF2", "argon2id", "document.encrypted"),
        ("#sha256-1k", "#crc", "document.encrypted"),
        ('iteration-count="100000"', 'iteration-count="99999999999"', "document.encrypted"),
        ('iteration-count="100000"', 'iteration-count="many"', "document.corrupt"),
        ('initialisation-vector="[^"]*"', 'initialisation-vector="AA=="', "document.corrupt"),
        ('salt="[^"]*"', 'salt="A"', "document.corrupt"),
        ("</manifest:manifest>", "", "document.corrupt"),
    ],
)
def test_other_ciphers_are_said_and_damage_too(
    decrypter: Decrypter, closed: bytes, old: str, new: str, expected: str
) -> None:
    assert code(decrypter, with_manifest(closed, old, new), "odt", "lantern-7") == expected


def test_a_part_cut_short_is_damaged(decrypter: Decrypter, closed: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(closed)) as package:
        part = package.read("content.xml")
    cut = repacked(closed, {"content.xml": part[:-7]})
    assert code(decrypter, cut, "odt", "lantern-7") == "document.corrupt"
