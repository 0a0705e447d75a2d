"""Small files with something wrong; big ones are in bombs.py and made when they are needed."""

import io
import subprocess
import zipfile
from pathlib import Path

from tests.data.make.common import BROKEN, DATA, PASSWORD, TABLES, TEXTS, text, zipped

CUT = {  # of each family one, and how much of it is left
    "letter.docx": 0.6,  # enough for its text
    "mina.docx": 0.02,
    "lamp-talk.pptx": 0.02,
    "fees.ods": 0.1,
    "tides.xlsx": 0.1,
    "moorings.xls": 0.4,
    "logbook.doc": 0.3,
    "marche.pdf": 0.01,
    "ticket.webp": 0.01,
    "ledger.tiff": 0.02,
    "survey.png": 0.02,
    "survey-turned.jpg": 0.005,
    "ticket.heic": 0.05,
    "reply.msg": 0.2,
    "folders.zip": 0.7,
    "well.epub": 0.25,
}
ENTITIES = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
LAUGHS = f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY l0 "ha">{ENTITIES}]>'
OUTSIDE = (
    '<?xml version="1.0"?><!DOCTYPE d [<!ENTITY file SYSTEM "file:///etc/hostname">'
    '<!ENTITY net SYSTEM "http://127.0.0.1:9/">]>'
)
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def make(scratch: Path) -> None:
    files = {
        f"cut-{name}": (DATA / name).read_bytes()[: int((DATA / name).stat().st_size * share)]
        for name, share in CUT.items()
    }
    files |= {
        "empty.txt": b"",
        "really-png.pdf": (DATA / "survey.png").read_bytes(),
        "really-pdf.docx": (DATA / "groff.pdf").read_bytes(),
        "really-xlsx.docx": (DATA / "stores.xlsx").read_bytes(),
        "really-program.txt": b"MZ\x90\x00" + bytes(range(256)) * 4,
        "script.txt": b"#!/bin/sh\necho harbour\n",
        "spaces.txt": b" \r\n\t\r\n",
        "laughs.xml": f"{LAUGHS}<d>&l9;</d>".encode(),
        "outside.xml": f"{OUTSIDE}<d>{TEXTS['garden'][0]} &file; &net;</d>".encode(),
        "laughs.docx": _word(LAUGHS, "&l9;"),
        "outside.docx": _word(OUTSIDE, f"{TEXTS['garden'][0]} &file; &net;"),
        "slip.zip": zipped({"../../harbour.txt": text("harbour").encode()}),
        "link.zip": _link(),
        "deep.zip": _deep(5),
        "nested-parts.eml": _nested_parts(300),
        "broken.json": b'{"station": "North pier", "notes": [',
        "broken.xml": b"<books><book>The old lamp</books>",
        "bad-members.zip": zipped(
            {
                "good.txt": text("garden").encode(),
                "really-png.pdf": (DATA / "survey.png").read_bytes(),
                "program.exe": b"MZ\x90\x00" + bytes(64),
                "empty.txt": b"",
            }
        ),
    }
    for name, content in files.items():
        (BROKEN / name).write_bytes(content)
    _locked_archives(scratch)


def _word(prologue: str, words: str) -> bytes:
    """The letter again, with a document that declares entities."""
    with zipfile.ZipFile(DATA / "letter.docx") as letter:
        members = {name: letter.read(name) for name in letter.namelist()}
    members["word/document.xml"] = (
        f'{prologue}<w:document xmlns:w="{WORD}"><w:body><w:p><w:r><w:t>{words}</w:t></w:r></w:p>'
        "</w:body></w:document>"
    ).encode()
    return zipped(members)


def _link() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("passwd.txt", (2024, 3, 4, 9, 30, 0))
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return buffer.getvalue()


def _deep(levels: int) -> bytes:
    content = zipped({"bottom.txt": text("bread").encode()})
    for level in range(levels - 1, 0, -1):
        content = zipped({f"level-{level}.zip": content})
    return content


def _nested_parts(depth: int) -> bytes:
    """A mail whose parts are in parts, `depth` deep, with a sentence at the bottom."""
    head = "From: a@example.com\r\nSubject: Nested\r\nMIME-Version: 1.0\r\n"
    opened = "".join(
        f'Content-Type: multipart/mixed; boundary="b{level}"\r\n\r\n--b{level}\r\n'
        for level in range(depth)
    )
    closed = "".join(f"\r\n--b{level}--" for level in reversed(range(depth)))
    return f"{head}{opened}Content-Type: text/plain\r\n\r\n{text('garden')}{closed}\r\n".encode()


def _locked_archives(scratch: Path) -> None:
    folder = scratch / "archive"
    folder.mkdir(exist_ok=True)
    (folder / "garden.txt").write_text(text("garden"))
    (folder / "tides.csv").write_text("\n".join(",".join(row) for row in TABLES["tides"]))
    for name, method in (("locked-old.zip", "ZipCrypto"), ("locked-aes.zip", "AES256")):
        target = BROKEN / name
        target.unlink(missing_ok=True)
        subprocess.run(
            ["7z", "a", "-tzip", f"-mem={method}", f"-p{PASSWORD}", target, "."],
            cwd=folder,
            check=True,
            capture_output=True,
        )
