"""NDJSON: one JSON document per line for every file, with its whole extraction."""

import json
from collections.abc import Iterator

from apps.jobs.contents import Contents, Entry
from apps.jobs.formats.facts import line_of
from apps.jobs.formats.format import Format

CHUNK = 64 * 1024


def write(contents: Contents) -> Iterator[bytes]:
    for entry in contents.entries():
        head = json.dumps(line_of(entry), ensure_ascii=False).encode()
        yield head[:-1] + b', "result": '
        yield from extraction_of(entry)
        yield b"}\n"


def extraction_of(entry: Entry) -> Iterator[bytes]:
    """The stored extraction as it stands, which is one line of JSON; null where there is none."""
    if entry.result is None:
        yield b"null"
        return
    with entry.stored() as path, path.open("rb") as stored:
        while chunk := stored.read(CHUNK):
            yield chunk


FORMAT = Format(
    name="ndjson",
    label="NDJSON",
    media_type="application/x-ndjson",
    about="One line of JSON for each file, with everything that was read. For programs.",
    write=write,
    icon="code",
)
