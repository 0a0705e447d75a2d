"""What a format is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from apps.jobs.contents import Contents


@dataclass(frozen=True)
class Format:
    """`name` is its file's ending too; `about` says in a sentence what is in it. `write` gives its
    bytes piece by piece; unless it `is_streamed` only once all are made, from a file of its own
    (raises StorageFull). `icon` is the page's."""

    name: str
    label: str
    media_type: str
    about: str
    write: Callable[[Contents], Iterator[bytes]]
    is_streamed: bool = True
    icon: str = "file"
