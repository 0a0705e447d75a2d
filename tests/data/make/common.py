"""What the makers share: the texts, the folder, one date, and LibreOffice.

The makers are run by hand, `python -m tests.data.make.all` from the project's root; nothing runs
them in tests. README.md in tests/data says what they need beside the development requirements.
"""

import io
import json
import os
import subprocess
import tomllib
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[1]
BROKEN = DATA / "broken"
TEXTS: dict[str, Any] = tomllib.loads((DATA / "texts.toml").read_text())
TABLES: dict[str, list[list[str]]] = TEXTS["tables"]
THE_DAY = datetime(2024, 3, 4, 9, 30, tzinfo=UTC)
PASSWORD = "lighthouse"
AUTHOR = "Example Ltd"
NODE_MODULES = os.environ.get("NODE_PATH", str(DATA.parents[1] / "node_modules"))


def text(*names: str) -> str:
    """The sentences of these texts, one a line."""
    return "\n".join(sentence for name in names for sentence in TEXTS[name])


def convert(orders: list[dict[str, str]]) -> None:
    """Have LibreOffice save files; an order has source, target, filter and perhaps password."""
    script = Path(__file__).with_name("office_orders.py")
    subprocess.run(["/usr/bin/python3", script], input=json.dumps(orders), text=True, check=True)


def zipped(members: dict[str, bytes], *, stored: tuple[str, ...] = ()) -> bytes:
    """A ZIP of these members, all of one date; those in `stored` are not compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, THE_DAY.timetuple()[:6])
            info.compress_type = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return buffer.getvalue()


def with_one_date(package: bytes) -> bytes:
    """The same ZIP with THE_DAY on all members, so that making it again changes nothing."""
    with zipfile.ZipFile(io.BytesIO(package)) as old:
        return zipped({name: old.read(name) for name in old.namelist()})
