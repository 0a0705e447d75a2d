"""E-mail (RFC 5322), by the standard library's parser."""

import email
import email.policy
import platform
from collections.abc import Iterator
from email.message import EmailMessage, MIMEPart

from apps.processors import html, language
from apps.processors.decoding import decode
from apps.processors.errors import BadDocument
from apps.processors.protocol import Document, Extraction, Page, Report
from apps.processors.text import without_pages

HEADERS = ("From", "To", "Cc", "Subject", "Date", "Message-ID")
MAX_HEADER = 1000
MAX_DEPTH = 50
LISTED_ATTACHMENTS = 50
EXAMPLE = (
    b"From: a@example.com\nSubject: =?utf-8?q?ready?=\n"
    b"Date: Mon, 1 Jan 2024 12:00:00 +0000\n\nready"
)


class MailProcessor:
    """The text part, else the HTML part as text; headers in metadata; attachments are named."""

    name = "mail"
    version = f"python {platform.python_version()}"
    operations = frozenset({"extract"})
    accepts = frozenset({"eml"})

    def __init__(self) -> None:
        self._language = language.shared()
        read(EXAMPLE)

    def run(self, document: Document, report: Report) -> Extraction:
        report(0, 1, "reading")
        try:
            text, metadata, attachments = read(document.path.read_bytes())
        except RecursionError as error:  # the parser of header values calls itself
            raise BadDocument(
                "document.corrupt", "The e-mail's headers or parts are nested too deep to be read."
            ) from error
        if not metadata:
            raise BadDocument("document.corrupt", "The file is no e-mail: it has no headers.")
        page = Page(number=1, text=text)
        report(1, 1, "read")
        warnings = [] if text else ["There is no text in the e-mail."]
        if attachments:
            metadata["attachments"] = ", ".join(attachments[:LISTED_ATTACHMENTS])
            warnings.append(f"Attachments are named, not read: {metadata['attachments']}.")
        return Extraction(
            pages=(page,),
            kind=document.kind,
            engine=f"{self.version} + {html.VERSION}",
            language=self._language(text),
            metadata=metadata,
            warnings=(*warnings, *without_pages(document)),
        )


def read(content: bytes) -> tuple[str, dict[str, str], list[str]]:
    """Text, headers and the names of attachments."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    parts = list(_leaves(message, MAX_DEPTH))
    bodies = [part for part in parts if not _is_attached(part)]
    text = "\n\n".join(_text(part) for part in bodies if part.get_content_subtype() == "plain")
    if not text.strip():
        pages = (_text(part) for part in bodies if part.get_content_subtype() == "html")
        text = "\n\n".join(html.visible_text(page)[0] for page in pages)
    names = [part.get_filename() or "unnamed" for part in parts if _is_attached(part)]
    return text.replace("\r\n", "\n").strip(), _headers(message), [name[:200] for name in names]


def _headers(message: EmailMessage) -> dict[str, str]:
    found = {}
    for header in HEADERS:
        try:
            value = message[header]
        except (ValueError, IndexError, AttributeError, TypeError):
            # The strict parser of the value stumbles over some of what is sent (cpython 27257,
            # 33972 and others); as it stands in the file it is better than nothing.
            value = dict(message.raw_items()).get(header)
        if value:
            found[header.lower().replace("-", "_")] = " ".join(str(value).split())[:MAX_HEADER]
    return found


def _leaves(part: MIMEPart, depth: int) -> Iterator[MIMEPart]:
    """Parts that are not containers, in order; what is nested too deep is left out."""
    if not part.is_multipart():
        yield part
    elif depth:
        for inner in part.iter_parts():
            yield from _leaves(inner, depth - 1)


def _is_attached(part: MIMEPart) -> bool:
    if part.get_content_disposition() == "attachment" or part.get_filename():
        return True
    return part.get_content_maintype() != "text"


def _text(part: MIMEPart) -> str:
    """The part's text. A character set that is unknown or wrong is guessed instead."""
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    try:
        return content.decode(part.get_content_charset() or "ascii")
    except (LookupError, ValueError):
        return decode(content)[0]
