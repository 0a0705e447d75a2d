"""Damage for documents, as it comes about by chance and by intent. Deterministic by seed."""

import io
import random
import zipfile
import zlib
from collections.abc import Callable

MAX_BYTES = 2 * 1024 * 1024
INTERESTING = (
    b"\x00",
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",  # half of a surrogate pair
    b"-1",
    b"0",
    b"4294967296",
    b"99999999999999999999",
    b"../../../../etc/passwd",
    b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>",
    b"&b;",
    b"<" * 500,
    b"[" * 500,
    b"(" * 500,
    b"%s%n",
    b"\r\n\r\n",
    b"endobj",
    b"stream\n",
    b"--=_boundary",
    b"=?utf-8?b?AAAA?=",
    b"PK\x03\x04",
    b"PK\x05\x06",
)
Mutation = Callable[[bytes, random.Random, list[bytes]], bytes]


def mutated(content: bytes, seed: str, others: list[bytes]) -> bytes:
    """`content` with one to eight damages; `others` are documents to take pieces from."""
    dice = random.Random(seed)
    inside = _inside_zip if content.startswith(b"PK\x03\x04") and dice.random() < 0.7 else _damaged
    return inside(content, dice, others)[:MAX_BYTES]


def _damaged(content: bytes, dice: random.Random, others: list[bytes]) -> bytes:
    for _ in range(dice.choice((1, 1, 2, 3, 8))):
        content = dice.choice(MUTATIONS)(content, dice, others)
    return content


def _inside_zip(content: bytes, dice: random.Random, others: list[bytes]) -> bytes:
    """The same archive with one or two of its members damaged, their checksums right."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(member, archive.read(member)) for member in archive.infolist()]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError):
        return _damaged(content, dice, others)
    chosen = {dice.randrange(len(members)) for _ in range(2)} if members else set()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number, (member, data) in enumerate(members):
            kept = _damaged(data, dice, others) if number in chosen else data
            archive.writestr(member.filename, kept, member.compress_type)
    return target.getvalue()


def _flip_bits(content: bytes, dice: random.Random, others: list[bytes]) -> bytes:
    changed = bytearray(content)
    for _ in range(dice.choice((1, 4, 32)) if changed else 0):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _overwrite(content: bytes, dice: random.Random, others: list[bytes]) -> bytes:
    start = _somewhere(content, dice)
    piece = dice.choice(INTERESTING)
    return content[:start] + piece + content[start + len(piece) :]


def _insert(content: bytes, dice: random.Random, others: list[bytes]) -> bytes:
    start = _somewhere(content, dice)
    return content[:start] + dice.choice(INTERESTING) * dice.choice((1, 1, 50)) + content[start:]


def _cut_off(content: bytes, dice: random.Random, others: list[bytes]) -> bytes:
    return content[: _somewhere(content, dice)]


def _take_out(content: bytes, dice: random.Random, others: list[bytes]) -> bytes:
    start, end = sorted((_somewhere(content, dice), _somewhere(content, dice)))
    return content[:start] + content[min(end, start + 4096) :]


def _repeat(content: bytes, dice: random.Random, others: list[bytes]) -> bytes:
    start = _somewhere(content, dice)
    piece = content[start : start + dice.choice((4, 64, 1024))]
    return content[:start] + piece * dice.choice((2, 10, 100)) + content[start:]


def _noise(content: bytes, dice: random.Random, others: list[bytes]) -> bytes:
    start = _somewhere(content, dice)
    noise = dice.randbytes(dice.choice((4, 64, 1024)))
    return content[:start] + noise + content[start + len(noise) :]


def _splice(content: bytes, dice: random.Random, others: list[bytes]) -> bytes:
    other = dice.choice(others)
    return content[: _somewhere(content, dice)] + other[_somewhere(other, dice) :]


def _somewhere(content: bytes, dice: random.Random) -> int:
    """Often near the start, where headers are, and near the end, where directories are."""
    size = len(content)
    near = min(size, 512)
    return dice.choice(
        (
            dice.randint(0, size),
            dice.randint(0, size),
            dice.randint(0, near),
            dice.randint(size - near, size),
        )
    )


MUTATIONS: tuple[Mutation, ...] = (
    _flip_bits,
    _flip_bits,
    _overwrite,
    _insert,
    _cut_off,
    _take_out,
    _repeat,
    _noise,
    _splice,
)
