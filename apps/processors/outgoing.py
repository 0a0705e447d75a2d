"""How a processor puts the documents that it finds inside another into its working folder."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apps.processors.errors import Unavailable
from apps.processors.protocol import Member
from apps.processors.sandbox import WRITTEN_FILE_BYTES


class Target(io.FileIO):
    """A new file that says when it grows, for a slow member is no standstill."""

    def __init__(self, path: Path, tell: Callable[[], None]) -> None:
        super().__init__(path, "w")
        self._tell = tell
        tell()

    def write(self, piece: Any) -> int:
        """All of `piece`. Raises Unavailable when the disk is full."""
        left = memoryview(piece)
        try:
            while left:
                left = left[super().write(left) :]
        except OSError as error:
            detail = "There is no room left on the disk to take out what is in the file."
            raise Unavailable("processor.unavailable", detail) from error
        self._tell()
        return len(piece)


def put(number: int, name: str, content: bytes, tell: Callable[[], None]) -> Member:
    """The member `name`, with its bytes in the file `number`; without them where they are more
    than a file may have. Raises Unavailable when the disk is full."""
    if len(content) > WRITTEN_FILE_BYTES:
        return too_large(name)
    with Target(Path(str(number)), tell) as target:
        target.write(content)
    return Member(name, path=str(number))


def too_large(name: str) -> Member:
    megabytes = WRITTEN_FILE_BYTES // 1024**2
    return Member(name, code="document.too_large", detail=f"It is larger than {megabytes} MB.")
