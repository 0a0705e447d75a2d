"""Messages as Outlook saves them. Sections are those of [MS-OXMSG], tags those of [MS-OXPROPS]."""

import datetime
import struct
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from typing import Any

from apps.processors import html, language
from apps.processors.archive import MAX_TOTAL_BYTES
from apps.processors.decoding import decode
from apps.processors.errors import BadDocument, ProcessingError
from apps.processors.outgoing import put
from apps.processors.protocol import MAX_MEMBERS, Document, Extraction, Member, Page, Report
from apps.processors.text import without_pages
from apps.processors.xberg_reader import RTF, XbergReader

UNICODE, CODE_PAGED, BINARY, STORAGE = "001F", "001E", "0102", "000D"
PROPERTIES = "__properties_version1.0"
ATTACHMENT = "__attach_version1.0_#"
TOP_HEADER = 32  # 2.4.1.1
ENTRY = struct.Struct("<HHL8s")  # 2.4.2
CLASS, SUBJECT, BODY, RTF_BODY, HTML_BODY = 0x001A, 0x0037, 0x1000, 0x1009, 0x1013
SENDER, SENDER_ADDRESS, SENDER_SMTP, TO, CC = 0x0C1A, 0x0C1F, 0x5D01, 0x0E04, 0x0E03
SENT, DELIVERED, MESSAGE_ID = 0x0039, 0x0E06, 0x1035
CODE_PAGES = (0x3FFD, 0x3FDE)  # of the strings; of the body, as it was sent
CONTENT, NAMES, CONTENT_ID = 0x3701, (0x3707, 0x3704, 0x3001), 0x3712
EPOCH = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)  # [MS-DTYP] 2.3.3
MAX_HEADER = 1000
LISTED = 50
DAMAGED = "The message is damaged."
# [MS-OXRTFCP] 2.2: the dictionary that compressed RTF begins with, and 2.1.3.1.1: its header.
RTF_WORDS = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript "
    rb"\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
RTF_HEADER = struct.Struct("<2L4sL")
RTF_WINDOW = 4096
MAX_RTF_BYTES = 64 * 1024 * 1024


class OutlookProcessor:
    """One page: the text, else the HTML, else the RTF as text. Attached files are members;
    messages inside the message are named."""

    name = "outlook"
    version = f"olefile {version('olefile')}"
    operations = frozenset({"extract"})
    accepts = frozenset({"msg"})

    def __init__(self) -> None:
        import olefile  # not on import, for the web process knows the processors too

        self._open = olefile.OleFileIO
        self._language = language.shared()
        self._rtf = XbergReader()

    def run(self, document: Document, report: Report) -> Extraction:
        report(0, 1, "reading")
        try:
            with self._open(document.path) as container:
                message = Message(container)
                metadata = message.metadata()
                text = self._text(message)
                members, left_out = _taken_out(message, report)
        except (ProcessingError, MemoryError):
            raise
        except Exception as error:  # olefile raises anything over a damaged container
            raise BadDocument("document.corrupt", DAMAGED) from error
        if members:
            metadata["attachments"] = ", ".join(member.name for member in members[:LISTED])
        empty = () if text else ("There is no text in the message.",)
        report(max(len(members), 1), max(len(members), 1), "read")
        return Extraction(
            pages=(Page(1, text),),
            kind=document.kind,
            engine=f"{self.version} + {html.VERSION}",
            language=self._language(text),
            metadata=metadata,
            warnings=(*empty, *left_out, *without_pages(document)),
            quality="partial" if left_out else "full",
            members=members,
        )

    def _text(self, message: "Message") -> str:
        text = message.string(BODY)
        if not text.strip():
            text = html.visible_text(message.page())[0]
        packed = message.binary(RTF_BODY)
        if not text.strip() and packed:
            text = self._rtf.read(unpacked_rtf(packed), RTF, DAMAGED).text
        return text.replace("\r\n", "\n").strip()


class Message:
    """The properties of one message in an open compound file."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self._entries = set(map(tuple, container.listdir(streams=True, storages=True)))
        self._fixed = dict(self._numbers())
        if not self._fixed:
            raise BadDocument("document.corrupt", "The file is no message of Outlook.")
        self._charset = next(
            (
                f"cp{self._number(tag)}" if self._number(tag) != 65001 else "utf-8"
                for tag in CODE_PAGES
                if self._number(tag)
            ),
            "cp1252",
        )
        kind = self.string(CLASS).upper()
        if kind.startswith("IPM.NOTE.SMIME") and "SIGNED" not in kind:
            raise BadDocument("document.encrypted", "The message is encrypted for its recipient.")

    def metadata(self) -> dict[str, str]:
        sender = self.string(SENDER)
        address = self.string(SENDER_SMTP) or self.string(SENDER_ADDRESS)
        if "@" in address and address != sender:
            sender = f"{sender} <{address}>".strip()
        subject = self.string(SUBJECT)
        found = {
            "from": sender,
            "to": self.string(TO),
            "cc": self.string(CC),
            "subject": subject,
            "message_id": self.string(MESSAGE_ID),
            "title": subject,
            "author": sender,
            "created_at": self._time(SENT) or self._time(DELIVERED),
        }
        tidied = {key: " ".join(value.split())[:MAX_HEADER] for key, value in found.items()}
        return {key: value for key, value in tidied.items() if value}

    def page(self) -> str:
        """The HTML, or "". Its character set is the message's, unless it is UTF-8 by its bytes."""
        content = self.binary(HTML_BODY)
        if not content:
            return self.string(HTML_BODY)
        try:
            return content.decode("utf-8")
        except ValueError:
            return self._decoded(content)

    def attachments(self) -> list[str]:
        """The storages they are in."""
        tops = (entry[0] for entry in self._entries if len(entry) == 1)
        return sorted(top for top in tops if top.startswith(ATTACHMENT))

    def string(self, tag: int, storage: str = "") -> str:
        """A text, whichever way it is kept; "" where there is none."""
        wide = self._stream(storage, tag, UNICODE)
        if wide:
            return wide.decode("utf-16-le", "replace").rstrip("\x00")
        return self._decoded(self._stream(storage, tag, CODE_PAGED)).rstrip("\x00")

    def binary(self, tag: int, storage: str = "") -> bytes:
        return self._stream(storage, tag, BINARY)

    def has_message(self, storage: str) -> bool:
        """Whether what is attached is a message or an object, kept as parts (2.2.2.1)."""
        return (storage, f"__substg1.0_{CONTENT:04X}{STORAGE}") in self._entries

    def _stream(self, storage: str, tag: int, kind: str) -> bytes:
        path = (*filter(None, [storage]), f"__substg1.0_{tag:04X}{kind}")
        if path not in self._entries:
            return b""
        content: bytes = self._container.openstream(list(path)).read()
        return content

    def _decoded(self, content: bytes) -> str:
        try:
            return content.decode(self._charset)
        except (LookupError, ValueError):
            return decode(content)[0]

    def _numbers(self) -> Iterator[tuple[int, int]]:
        """Properties of fixed size by tag, as unsigned numbers (2.4.2.1)."""
        raw = self._container.openstream(PROPERTIES).read()[TOP_HEADER:]
        whole = len(raw) - len(raw) % ENTRY.size
        for _, tag, _, value in ENTRY.iter_unpack(raw[:whole]):
            yield tag, int.from_bytes(value, "little")

    def _number(self, tag: int) -> int:
        return self._fixed.get(tag, 0) & 0xFFFFFFFF

    def _time(self, tag: int) -> str:
        """FILETIME, tenths of microseconds, as ISO 8601; "" for none and for nonsense."""
        try:
            moment = EPOCH + datetime.timedelta(microseconds=self._fixed.get(tag, 0) // 10)
        except OverflowError:
            return ""
        return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment.year > EPOCH.year else ""


def _taken_out(message: Message, report: Report) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    """The members, and sentences about what is left out."""
    storages = message.attachments()
    page = message.page()
    left = MAX_TOTAL_BYTES
    members = []
    for number, storage in enumerate(storages[:MAX_MEMBERS], 1):
        identity = message.string(CONTENT_ID, storage).strip("<>")
        if identity and f"cid:{identity}" in page:
            continue  # a picture that belongs into the text
        name = next(filter(None, (message.string(tag, storage) for tag in NAMES)), "")
        if message.has_message(storage):
            detail = "A message inside a message is not taken out; save it as a file of its own."
            members.append(Member(name or "message", code="document.unsupported", detail=detail))
            continue
        content = message.binary(CONTENT, storage)
        left -= len(content)
        if left < 0:  # streams may lie on top of each other
            raise BadDocument("document.bomb", "The message holds far more than it should.")
        tell = partial(report, 0, 1, f"attachment {number} of {len(storages)}")
        members.append(put(number, name or f"attachment-{number}.bin", content, tell))
    return tuple(members), _left_out(members, len(storages))


def _left_out(members: list[Member], count: int) -> tuple[str, ...]:
    sentences = []
    inside = [member.name for member in members if member.code == "document.unsupported"]
    if inside:
        sentences.append(f"Messages inside the message are not read: {', '.join(inside[:5])}.")
    if count > MAX_MEMBERS:
        sentences.append(f"Of {count} attachments {MAX_MEMBERS} are read.")
    return tuple(sentences)


def unpacked_rtf(packed: bytes) -> bytes:
    """RTF as [MS-OXRTFCP] 3.1.3 unpacks it. Raises struct.error and IndexError when damaged."""
    _, _, kind, _ = RTF_HEADER.unpack_from(packed)
    body = packed[RTF_HEADER.size :]
    if kind == b"MELA":  # not compressed
        return body
    out = bytearray(RTF_WORDS)
    at = 0
    while at < len(body) and len(out) < MAX_RTF_BYTES:
        flags = body[at]
        at += 1
        for bit in range(8):
            if at >= len(body):
                break
            if not flags >> bit & 1:
                out.append(body[at])
                at += 1
                continue
            reference = int.from_bytes(body[at : at + 2])
            at += 2
            offset, length = reference >> 4, (reference & 0xF) + 2
            if offset == len(out) % RTF_WINDOW:
                return bytes(out[len(RTF_WORDS) :])
            start = len(out) - (len(out) - offset - 1) % RTF_WINDOW - 1
            for step in range(length):
                out.append(out[start + step])
    return bytes(out[len(RTF_WORDS) :])
