"""Which files are meant by the paths on a command line. Pure but for looking at the disk."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from apps.processors.kinds import KINDS

EXTENSIONS = frozenset(extension for kind in KINDS.values() for extension in kind.extensions)


class BadPath(Exception):
    """A path that cannot be submitted: the text is for a person."""


@dataclass
class Picked:
    """`files` are submitted in this order; `skipped` lay in a folder and are of no known kind."""

    files: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)


def pick(paths: Iterable[Path]) -> Picked:
    """The files that `paths` name and that lie in the folders among them, each once.

    The order is that of `paths`, sorted by name within a folder. Hidden files of a folder are
    passed over; a file that is named itself is always taken, and judged by whoever receives it.
    Raises BadPath for the first one that is not there, cannot be read, or is neither.
    """
    picked = Picked()
    seen: set[Path] = set()
    for path in paths:
        for file in _walk(path) if path.is_dir() else [path]:
            if file.absolute() in seen:
                continue
            seen.add(file.absolute())
            if file == path or _is_known(file):
                _check_readable(file)
                picked.files.append(file)
            else:
                picked.skipped.append(file)
    return picked


def batches(files: list[Path], most: int) -> list[list[Path]]:
    """`files` in their order, in as few lists of at most `most` as hold them."""
    return [files[start : start + most] for start in range(0, len(files), most)]


def _walk(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise BadPath(f"{error.filename} cannot be read: {error.strerror}.")

    for directory, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(directory, name)


def _is_known(file: Path) -> bool:
    return file.suffix.lower() in EXTENSIONS and file.is_file()


def _check_readable(file: Path) -> None:
    if not file.exists():
        raise BadPath(f"There is no file or folder {file}.")
    if not file.is_file():
        raise BadPath(f"{file} is neither a file nor a folder.")
    if not os.access(file, os.R_OK):
        raise BadPath(f"{file} cannot be read: permission denied.")
