"""Messages as Outlook saves them ([MS-OXMSG]), packed by `compound`."""

import struct
from datetime import UTC, datetime

from tests.data.make.common import DATA, TABLES, TEXTS, THE_DAY
from tests.data.make.compound import packed

UNICODE, BINARY, NUMBER, TIME = 0x001F, 0x0102, 0x0003, 0x0040
READABLE, WRITEABLE = 0x2, 0x4
SUBJECT, CLASS, BODY, HTML, SUBMITTED = 0x0037, 0x001A, 0x1000, 0x1013, 0x0039
SENDER_NAME, SENDER_ADDRESS, SENDER_SMTP = 0x0C1A, 0x0C1F, 0x5D01
SHOWN_TO, DELIVERED, CODE_PAGE, STRINGS = 0x0E04, 0x0E06, 0x3FDE, 0x340D
NAME, ADDRESS, SMTP, RECIPIENT_KIND = 0x3001, 0x3003, 0x39FE, 0x0C15
CONTENT, METHOD, LONG_NAME, SHORT_NAME, MEDIA_TYPE = 0x3701, 0x3705, 0x3707, 0x3704, 0x370E
EPOCH = datetime(1601, 1, 1, tzinfo=UTC)  # of FILETIME, [MS-DTYP] 2.3.3
NAMES = dict.fromkeys(
    (
        "__nameid_version1.0/__substg1.0_00020102",
        "__nameid_version1.0/__substg1.0_00030102",
        "__nameid_version1.0/__substg1.0_00040102",
    ),
    b"",
)
Value = str | bytes | int | datetime


def make() -> None:
    tides = "\n".join(",".join(row) for row in TABLES["tides"])
    plain = message(
        "Größe der Boote, 船",
        {BODY: "\r\n".join(TEXTS["mail_reply"])},
        {"tides.csv": tides.encode(), "Übersicht.txt": "\n".join(TEXTS["bread"]).encode()},
    )
    (DATA / "reply.msg").write_bytes(packed(plain))
    page = "".join(f"<p>{words}</p>" for words in TEXTS["marche"])
    html = f"<html><head><meta charset=utf-8></head><body>{page}</body></html>"
    (DATA / "marche-html.msg").write_bytes(packed(message("Le marché", {HTML: html.encode()}, {})))


def message(
    subject: str, bodies: dict[int, Value], attachments: dict[str, bytes]
) -> dict[str, bytes]:
    """The streams of a message from the stores to the office, sent on THE_DAY."""
    own: dict[int, Value] = {
        CLASS: "IPM.Note",
        SUBJECT: subject,
        SENDER_NAME: "Stores",
        SENDER_ADDRESS: "stores@example.com",
        SENDER_SMTP: "stores@example.com",
        SHOWN_TO: "Office",
        SUBMITTED: THE_DAY,
        DELIVERED: THE_DAY,
        CODE_PAGE: 65001,
        STRINGS: 0x00040000,  # STORE_UNICODE_OK, [MS-OXPROPS] 2.1027
        **bodies,
    }
    head = struct.pack("<8x4L8x", 1, len(attachments), 1, len(attachments))
    streams = {**NAMES, **_storage("", head, own)}
    office: dict[int, Value] = {
        NAME: "Office",
        ADDRESS: "office@example.com",
        SMTP: "office@example.com",
        RECIPIENT_KIND: 1,
    }
    streams |= _storage("__recip_version1.0_#00000000/", bytes(8), office)
    for number, (name, content) in enumerate(attachments.items()):
        attached: dict[int, Value] = {
            METHOD: 1,
            LONG_NAME: name,
            SHORT_NAME: f"FILE{number}.{name[-3:].upper()}",
            MEDIA_TYPE: "text/plain",
            CONTENT: content,
        }
        streams |= _storage(f"__attach_version1.0_#{number:08X}/", bytes(8), attached)
    return streams


def _storage(prefix: str, head: bytes, values: dict[int, Value]) -> dict[str, bytes]:
    """The property stream of a storage, and one stream for each value of variable size."""
    streams, fixed = {}, head
    for identifier, value in sorted(values.items()):
        kind, entry, stream = _encoded(value)
        fixed += struct.pack("<HHL", kind, identifier, READABLE | WRITEABLE) + entry
        if stream is not None:
            streams[f"{prefix}__substg1.0_{identifier:04X}{kind:04X}"] = stream
    return {f"{prefix}__properties_version1.0": fixed, **streams}


def _encoded(value: Value) -> tuple[int, bytes, bytes | None]:
    """The kind of a value, its eight bytes in the table, and its own stream if it has one."""
    if isinstance(value, int):
        return NUMBER, struct.pack("<Q", value), None
    if isinstance(value, datetime):
        return TIME, struct.pack("<Q", int((value - EPOCH).total_seconds()) * 10**7), None
    if isinstance(value, str):
        content = value.encode("utf-16-le")
        return UNICODE, struct.pack("<2L", len(content) + 2, 0), content
    return BINARY, struct.pack("<2L", len(value), 0), value
