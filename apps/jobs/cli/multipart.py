"""multipart/form-data (RFC 7578) that is read from disk while it is sent. Pure but for that."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

CHUNK_BYTES = 256 * 1024
FIELD = "file"


class FileChanged(OSError):
    """A file became shorter while it was sent."""


class Form:
    """A form of plain `fields` and of `paths`, in their order, in the field "file".

    `length` is its size in bytes: a server may want to know before it reads. It can be iterated
    any number of times, and holds one chunk in memory. `boundary` must not occur in the files.
    Raises OSError when a file is not there.
    """

    def __init__(self, fields: Mapping[str, str], paths: Sequence[Path], *, boundary: str) -> None:
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._mark = f"--{boundary}".encode()
        plain = ((f'; name="{name}"', text) for name, text in fields.items())
        self._fields = [self._head(where) + text.encode() + b"\r\n" for where, text in plain]
        self._files = [(self._head_of(path), path, path.stat().st_size) for path in paths]
        self._end = self._mark + b"--\r\n"
        sizes = [len(head) + size + len(b"\r\n") for head, _, size in self._files]
        self.length = sum(map(len, self._fields)) + sum(sizes) + len(self._end)

    def __iter__(self) -> Iterator[bytes]:
        yield from self._fields
        for head, path, size in self._files:
            yield head
            yield from exactly(path, size)
            yield b"\r\n"
        yield self._end

    def _head(self, where: str, more: str = "") -> bytes:
        return self._mark + f"\r\nContent-Disposition: form-data{where}\r\n{more}\r\n".encode()

    def _head_of(self, path: Path) -> bytes:
        where = f'; name="{FIELD}"; {_file_name(path.name)}'
        return self._head(where, "Content-Type: application/octet-stream\r\n")


def _file_name(name: str) -> str:
    """The parameter that carries `name` unchanged: plain where it can be.

    RFC 7578 has no way to write a quote or a line end; RFC 5987 has, and the server reads it.
    """
    storable = name.encode(errors="replace").decode()
    if storable.isprintable() and not set(storable) & set('"\\'):
        return f'filename="{storable}"'
    return f"filename*=UTF-8''{quote(storable, safe='')}"


def exactly(path: Path, size: int, *, start: int = 0) -> Iterator[bytes]:
    """`size` bytes of the file from `start` on. Raises FileChanged when there are fewer."""
    left = size
    with path.open("rb") as source:
        source.seek(start)
        while left:
            chunk = source.read(min(CHUNK_BYTES, left))
            if not chunk:
                raise FileChanged(f"{path} became shorter while it was sent.")
            left -= len(chunk)
            yield chunk
