"""What is in a backup, to be compared."""

import gzip
import json
import tarfile
from pathlib import Path
from typing import Any

Rows = dict[str, list[Any]]


def rows_in(path: Path) -> Rows:
    """By the name of each table: its rows, each by the names of its columns."""
    with tarfile.open(path) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        found = {}
        for table in manifest["tables"]:
            packed = tar.extractfile(f"database/{table['table']}.jsonl.gz")
            lines = gzip.decompress(packed.read()).splitlines()  # type: ignore[union-attr]
            rows = [dict(zip(table["columns"], json.loads(line), strict=True)) for line in lines]
            found[table["table"]] = rows
    return found


def bytes_in(path: Path) -> dict[str, bytes]:
    """All documents and results, by the names they have there."""
    with tarfile.open(path) as tar:
        return {
            member.name: tar.extractfile(member).read()  # type: ignore[union-attr]
            for member in tar
            if member.name.startswith("blobs/")
        }


def without(rows: Rows, *tables: str) -> Rows:
    return {name: found for name, found in rows.items() if name not in tables}
