"""Results into files of a folder: whole ones only, under names that are safe there."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from apps.jobs.cli.doors import Json
from apps.jobs.file_names import safe_name

ID_SHOWN = 8


def path_for(folder: Path, job: Json, made: str) -> Path:
    """Where the results of `job` go: told apart from those of a job with the same name."""
    name = safe_name(job["name"], "results")
    known_by = safe_name(str(job["id"]).replace("-", "")[-ID_SHOWN:])
    return folder / f"{name}-{known_by}.{made}"


def save(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Fills the file at `path` by `write`, at once: one that is there stays until the new one is
    whole. Raises OSError, and what `write` raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name[-200:]}.{os.getpid()}.part")
    unfinished.unlink(missing_ok=True)  # of one that was killed
    try:
        # A new file: where others may write too, a link of theirs would lead elsewhere.
        with unfinished.open("xb") as sink:
            write(sink)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
