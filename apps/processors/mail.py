"""E-mail (RFC 5322), by the standard library's parser."""

import email.utils
import itertools
import mimetypes
import platform
import re
from collections.abc import Iterator
from contextlib import suppress
from email import policy
from email.errors import MessageError
from email.generator import BytesGenerator
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from functools import cached_property, partial
from io import BytesIO

from apps.processors import html, language
from apps.processors.decoding import decode
from apps.processors.errors import BadDocument
from apps.processors.kinds import KINDS
from apps.processors.outgoing import put
from apps.processors.protocol import MAX_MEMBERS, Document, Extraction, Member, Page, Report
from apps.processors.text import without_pages

HEADERS = ("From", "To", "Cc", "Subject", "Date", "Message-ID")
MAX_HEADER = 1000
MAX_PARSED_HEADER = 5000
"""Characters: the parser of header values takes a second for each 10,000 of bad ones."""
MAX_DEPTH = 50
NESTED = "The e-mail's headers or parts are nested too deep to be read."
MAX_PARTS = 2000
MAX_PARSED_PARTS = 10_000
MAX_LINES_TIMES_DEPTH = 10_000_000
"""The parser compares every line with the borders of all parts that it lies in: 3 s for this."""
LINE_END = re.compile(rb"\r\n?|\n")
MAX_NAME = 200
LISTED = 50
SIGNATURES = re.compile(r"application/(pgp-signature|(x-)?pkcs7-signature)")
ENCRYPTED = re.compile(r"multipart/encrypted|application/(x-)?pkcs7-mime")
OUTLOOKS_OWN = re.compile(r"application/(vnd\.)?ms-tnef")
# What is sent under these names is often written in what followed them (WHATWG, Encoding, 4.2).
SUCCESSORS = {
    "us-ascii": "utf-8",
    "iso-8859-1": "cp1252",
    "gb2312": "gb18030",
    "shift_jis": "cp932",
    "ks_c_5601-1987": "cp949",
}
SLOW_CODECS = frozenset({"punycode", "idna"})
EXTENSIONS = {kind.media_type: kind.extensions[0] for kind in KINDS.values()}
TYPES = mimetypes.MimeTypes()  # those of the library alone: the system's are files to read
# The library's parser stumbles over some of what is sent (cpython 27257, 33972 and others).
STUMBLES = (ValueError, LookupError, AttributeError, TypeError, OverflowError, MessageError)
EXAMPLE = (
    b"From: a@example.com\nSubject: =?utf-8?q?ready?=\nDate: Mon, 1 Jan 2024 12:00:00 +0000\n"
    b'Content-Type: application/pdf; name="a.pdf"\nContent-Transfer-Encoding: base64\n\nAAAA'
)


class MailProcessor:
    """A page for each part that is the message itself, as plain text where there is, else of
    HTML. Attached files and messages are members; headers are metadata."""

    name = "mail"
    version = f"python {platform.python_version()}"
    operations = frozenset({"extract"})
    accepts = frozenset({"eml"})

    def __init__(self) -> None:
        self._language = language.shared()
        example = Mail(EXAMPLE)
        example.metadata()
        _name(example.parts[0], 1)

    def run(self, document: Document, report: Report) -> Extraction:
        report(0, 1, "reading")
        try:
            mail = Mail(document.path.read_bytes())
            metadata = mail.metadata()
            texts = list(itertools.islice(filter(None, mail.texts()), MAX_PARTS))
        except RecursionError as error:  # the parser of header values calls itself
            raise BadDocument("document.nested", NESTED) from error
        if mail.is_too_deep and not texts:
            raise BadDocument("document.nested", NESTED)
        if not metadata:
            raise BadDocument("document.corrupt", "The file is no e-mail: it has no headers.")
        pages = tuple(Page(number, text) for number, text in enumerate(texts or [""], 1))
        members = _taken_out(mail, report)
        if members:
            metadata["attachments"] = ", ".join(member.name for member in members[:LISTED])
        missing = mail.missing()
        silent = () if texts else ("There is no text in the e-mail.",)
        report(max(len(members), 1), max(len(members), 1), "read")
        return Extraction(
            pages=pages,
            kind=document.kind,
            engine=f"{self.version} + {html.VERSION}",
            language=self._language("\n".join(texts)),
            metadata=metadata,
            warnings=(*silent, *missing, *without_pages(document)),
            quality="partial" if missing else "full",
            members=members,
        )


class Bounded(policy.Compat32):
    """Takes what is wrong with a header for text. Its parser of parameters takes a time that
    grows with the square of their number, so that what is longer than any sender needs is cut."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:MAX_PARSED_HEADER] if name.lower().startswith("content-") else value


class _Part(Message):
    """Knows how deep it lies."""

    def __init__(self, policy: policy.Policy, tree: "_Tree") -> None:
        super().__init__(policy)
        self._tree = tree
        self._depth = 0

    def attach(self, payload: Message) -> None:  # type: ignore[override]  # only parts are
        if isinstance(payload, _Part):
            payload._depth = self._depth + 1
            if payload._depth > self._tree.max_depth:
                raise BadDocument("document.nested", NESTED)
        super().attach(payload)


class _Tree:
    """Counts the parts while the library's parser makes them, for nobody else knows where it sees
    one. Raises BadDocument "document.bomb" for more than 10,000, "document.nested"."""

    def __init__(self, max_depth: int) -> None:
        self.max_depth = max_depth
        self._parts = 0

    def part(self, policy: policy.Policy) -> _Part:
        self._parts += 1
        if self._parts > MAX_PARSED_PARTS:
            raise BadDocument("document.bomb", "The e-mail has more parts than anybody sends.")
        return _Part(policy, self)


class Mail:
    """One message, taken apart. Raises RecursionError, and BadDocument: document.encrypted, and
    document.bomb for a message of parts without end."""

    def __init__(self, content: bytes) -> None:
        lines = sum(1 for _ in LINE_END.finditer(content))
        tree = _Tree(max_depth=MAX_LINES_TIMES_DEPTH // max(lines, 1))
        parser = BytesParser(tree.part, policy=Bounded())  # type: ignore[arg-type]  # gives a policy
        self.message = parser.parsebytes(content.removeprefix(b"\xef\xbb\xbf"))
        if ENCRYPTED.fullmatch(self.message.get_content_type()) and not _is_only_signed(
            self.message
        ):
            raise BadDocument("document.encrypted", "The e-mail is encrypted for who receives it.")
        self.is_too_deep = self._is_cut = False
        self.parts = list(self._leaves())

    def metadata(self) -> dict[str, str]:
        found = {}
        for header in HEADERS:
            value = _header(self.message, header)
            if value:
                found[header.lower().replace("-", "_")] = value
        usual = {
            "title": found.get("subject", ""),
            "author": found.get("from", ""),
            "created_at": _iso_date(found.get("date", "")),
        }
        return found | {key: value for key, value in usual.items() if value}

    def texts(self, part: "Message | None" = None, depth: int = MAX_DEPTH) -> Iterator[str]:
        """Of the parts that are the message itself; of alternatives the first that has any."""
        part = self.message if part is None else part
        if _is_message(part) or not depth:
            return
        if not part.is_multipart():
            if not _is_attached(part):
                yield _text(part)
            return
        is_choice = part.get_content_type() == "multipart/alternative"
        for inner in _inside(part):
            texts = [text for text in self.texts(inner, depth - 1) if text]
            yield from texts
            if is_choice and texts:
                return

    @cached_property
    def attached(self) -> list[Message]:
        """What was attached, without signatures and pictures that belong into the text."""
        return [
            part
            for part in self.parts
            if _is_attached(part)
            and not SIGNATURES.fullmatch(part.get_content_type())
            and not OUTLOOKS_OWN.fullmatch(part.get_content_type())
            and not self._is_shown(part)
        ]

    def missing(self) -> tuple[str, ...]:
        """Sentences about what is not read."""
        sentences = []
        if self.is_too_deep or self._is_cut:
            sentences.append(
                f"The e-mail has parts nested deeper than {MAX_DEPTH} or more than {MAX_PARTS}; "
                "the rest is left out."
            )
        if any(OUTLOOKS_OWN.fullmatch(part.get_content_type()) for part in self.parts):
            sentences.append("Attachments in winmail.dat, Outlook's own format, are not read.")
        if len(self.attached) > MAX_MEMBERS:
            sentences.append(f"Of {len(self.attached)} attachments {MAX_MEMBERS} are read.")
        return tuple(sentences)

    def _leaves(self) -> Iterator[Message]:
        """Parts that are no containers but for attached messages, in order."""
        ahead = [(self.message, MAX_DEPTH)]
        for _ in range(MAX_PARTS):
            if not ahead:
                return
            part, depth = ahead.pop()
            _decode_parameters(part)
            if not part.is_multipart() or _is_message(part):
                yield part
            elif depth:
                ahead += reversed([(inner, depth - 1) for inner in _inside(part)])
            else:
                self.is_too_deep = True
        self._is_cut = bool(ahead)

    def _is_shown(self, part: Message) -> bool:
        """Whether it is a picture that the HTML refers to (RFC 2392)."""
        identity = str(part.get("Content-ID", "")).strip().strip("<>")
        if part.get_content_maintype() != "image" or not identity:
            return False
        return f"cid:{identity}" in self._html

    @cached_property
    def _html(self) -> str:
        return "\n".join(
            _decoded(part)
            for part in self.parts
            if part.get_content_type() == "text/html" and not _is_attached(part)
        )


def _taken_out(mail: Mail, report: Report) -> tuple[Member, ...]:
    attached = mail.attached[:MAX_MEMBERS]
    members = []
    for number, part in enumerate(attached, 1):
        name = _name(part, number)
        tell = partial(report, 0, 1, f"attachment {number} of {len(attached)}")
        try:
            content = _content(part)
        except STUMBLES:
            members.append(Member(name, code="document.corrupt", detail="It is damaged."))
        except RecursionError:
            detail = "There are too many messages in each other in it."
            members.append(Member(name, code="document.nested", detail=detail))
        else:
            members.append(put(number, name, content, tell))
    return tuple(members)


def _content(part: Message) -> bytes:
    """The bytes that were attached; those of a message nearly as it was sent."""
    if not _is_message(part):
        content = part.get_payload(decode=True)
        return content if isinstance(content, bytes) else b""
    buffer = BytesIO()
    for inner in _inside(part):
        BytesGenerator(buffer, mangle_from_=False, maxheaderlen=0).flatten(inner)
    return buffer.getvalue()


def _name(part: Message, number: int) -> str:
    """What the sender called it; else by its type. An extension is added where there is none."""
    kind = part.get_content_type()
    name = _given_name(part)
    if not name and _is_message(part):
        name = next((_header(inner, "Subject") for inner in _inside(part)), "")[:MAX_NAME]
        return f"{name.replace('/', '-') or 'message'}.eml"
    extension = EXTENSIONS.get(kind) or TYPES.guess_extension(kind) or ""
    if not name:
        return f"attachment-{number}{extension or '.bin'}"
    return name if "." in name else name + extension


def _given_name(part: Message) -> str:
    """By RFC 2231, or by RFC 2047, which is not meant for it and used for it."""
    name = ""
    with suppress(*STUMBLES):
        name = part.get_filename() or ""
        name = str(make_header(decode_header(name)))
    return " ".join(name.split())


def _header(message: Message, name: str) -> str:
    """Its value as text, on one line, or ""."""
    raw = next((str(v) for key, v in message.raw_items() if key.lower() == name.lower()), "")
    text = " ".join(_from_8_bit(raw, message).split())[:MAX_PARSED_HEADER]
    with suppress(*STUMBLES):  # as it stands in the file it is better than nothing
        text = str(policy.default.header_factory(name, text))
    return " ".join(text.split())[:MAX_HEADER]


def _decode_parameters(part: Message) -> None:
    """Bytes that are not ASCII, which headers must not have and many do, become letters."""
    for header, raw in part.raw_items():
        if header.lower() in ("content-type", "content-disposition") and not raw.isascii():
            part.replace_header(header, _from_8_bit(raw, part))


def _from_8_bit(raw: str, part: Message) -> str:
    """A header that is not ASCII: UTF-8, or as the text is written; else a guess, from little."""
    if raw.isascii():
        return raw
    content = raw.encode("utf-8", "surrogateescape")
    charsets = (inner.get_content_charset() for inner in part.walk())
    for charset in ("utf-8", next(filter(None, charsets), "")):
        with suppress(LookupError, ValueError):
            return content.decode(charset)
    return decode(content)[0]


def _iso_date(date: str) -> str:
    try:
        return email.utils.parsedate_to_datetime(date).isoformat()
    except (ValueError, TypeError, OverflowError):
        return ""


def _inside(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [inner for inner in payload if isinstance(inner, Message)] if payload else []


def _is_message(part: Message) -> bool:
    return part.get_content_type() in ("message/rfc822", "message/global") and part.is_multipart()


def _is_attached(part: Message) -> bool:
    if part.get_content_disposition() == "attachment" or _is_message(part):
        return True
    if part.get_content_maintype() == "text":
        return bool(_given_name(part))
    return part.get_content_maintype() != "message"  # what is said of a delivery, and the like


def _is_only_signed(part: Message) -> bool:
    return part.get_param("smime-type") == "signed-data"


def _text(part: Message) -> str:
    text = _decoded(part)
    if part.get_content_subtype() == "html":
        text = html.visible_text(text)[0]
    elif part.get_content_subtype() != "plain":
        return ""
    return text.replace("\r\n", "\n").strip()


def _decoded(part: Message) -> str:
    """The part's text. A character set that is unknown or wrong is guessed instead."""
    content = b""
    with suppress(*STUMBLES):
        content = _content(part)
        charset = part.get_content_charset() or "us-ascii"
        if charset not in SLOW_CODECS:
            return content.decode(SUCCESSORS.get(charset, charset))
    return decode(content)[0]
