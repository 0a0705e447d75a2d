"""What the headers of tus 1.0 say (https://tus.io/protocols/resumable-upload): pure but for its
errors. Of the protocol there are creation, creation-with-upload, expiration and termination."""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Mapping

from apps.core.errors import FieldError, InvalidInput
from apps.jobs.errors import NoSuchVersion

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,termination"
PART_TYPE = "application/offset+octet-stream"
NAMES = ("filename", "name")
"""Under which of the metadata clients tell the file's name."""
WHOLE = re.compile(r"[0-9]{1,18}")


def check_version(headers: Mapping[str, str]) -> None:
    """Who names no version gets this one. Raises NoSuchVersion."""
    if headers.get("Tus-Resumable", VERSION) != VERSION:
        raise NoSuchVersion(f"Send Tus-Resumable: {VERSION}.")


def whole_number(headers: Mapping[str, str], name: str) -> int:
    """The number in the header `name`. Raises InvalidInput."""
    given = headers.get(name, "")
    if not WHOLE.fullmatch(given):
        raise _invalid(name, f"{name} must be a whole number of bytes.")
    return int(given)


def file_name(headers: Mapping[str, str]) -> str:
    """The file's name, of the Upload-Metadata. Raises InvalidInput."""
    told = metadata(headers.get("Upload-Metadata", ""))
    found = next((told[name] for name in NAMES if name in told), b"")
    try:
        name = found.decode()
    except UnicodeDecodeError as error:
        raise _invalid("Upload-Metadata", "The filename is not UTF-8.") from error
    if not name:
        detail = "Upload-Metadata must tell the filename, in base64: filename bGV0dGVyLnBkZg=="
        raise _invalid("Upload-Metadata", detail)
    return name


def metadata(header: str) -> dict[str, bytes]:
    """Names and values; a name may stand without a value. Raises InvalidInput."""
    pairs = (pair.strip().partition(" ") for pair in header.split(",") if pair.strip())
    try:
        return {name: b64decode(value.strip(), validate=True) for name, _, value in pairs}
    except (Error, ValueError) as error:
        detail = (
            "Upload-Metadata must be names and values in base64, as in: filename bGV0dGVyLnBkZg=="
        )
        raise _invalid("Upload-Metadata", detail) from error


def _invalid(header: str, detail: str) -> InvalidInput:
    return InvalidInput(detail, errors=[FieldError(header, "invalid", detail)])
