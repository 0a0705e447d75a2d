"""Writes docs/settings.md anew from .env.example and config/settings.py.

Usage: python .ci/settings_table.py [--check], which only says whether it is as it should be.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / ".env.example"
SETTINGS = ROOT / "config" / "settings.py"
PAGE = ROOT / "docs" / "settings.md"

READER = re.compile(r'env(?:\.(\w+))?\(\s*"([A-Z_]+)"')
SETTING = re.compile(r"#?([A-Z_]+)=(.*)")
SECTION = re.compile(r"# --- (.+?) -+")
KINDS = {"bool": "true or false", "int": "number", "float": "number", "list": "list, by commas"}
UNITS = {
    "_SECONDS": "seconds",
    "_MS": "milliseconds",
    "_BYTES": "bytes",
    "_DAYS": "days",
    "_PERCENT": "percent",
    "_CONCURRENCY": "at a time",
    "_RATE": "0 to 1",
    "DB_CONNECTION_TIMEOUT": "milliseconds",
    "DB_IDLE_TIMEOUT": "milliseconds",
    "BACKUP_EVERY": "hours",
}
"""By how a name ends."""
HEAD = """# Settings

Written by `make settings` from [.env.example](../.env.example); a test holds the two together. Each
is an environment variable, or a line of `.env` beside `manage.py` (another file: `ENV_FILE`). What
is not set has the default. `NAME_FILE=/path` reads the value of NAME from a file, as secrets come
in containers.

All are read when a process starts, and never again: after a change restart the web server, the
workers and beat. The order does not matter. Where several processes or machines share a database
they need the same values, above all of `SECRET_KEY`.
"""


@dataclass(frozen=True)
class Row:
    section: str
    name: str
    default: str
    effect: str


def rows(example: str) -> Iterator[Row]:
    """The settings of .env.example with the sentences above them."""
    section, told, shared = "general", [], ""
    for line in example.splitlines():
        if found := SECTION.fullmatch(line):
            section, told = found[1], []
        elif found := SETTING.fullmatch(line):
            shared = " ".join(told) or shared
            yield Row(section, found[1], found[2], shared)
            told = []
        elif line.startswith("# "):
            told.append(line[2:])
        else:
            told = []


def unit(name: str, kind: str) -> str:
    """What a value of the setting counts, or what it is."""
    for end, counted in UNITS.items():
        if name.endswith(end):
            return f"{counted}, by commas" if kind == "list" else counted
    if name.startswith("LIMIT_"):
        return "number per time"
    return KINDS.get(kind, "text")


def page(example: str, settings: str) -> str:
    """docs/settings.md."""
    kinds = {name: kind for kind, name in READER.findall(settings)}
    lines, section, before = [HEAD.rstrip()], "", ""
    for row in rows(example):
        if row.section != section:
            section = row.section
            lines += ["", f"## {section[0].upper()}{section[1:]}", ""]
            lines += ["| variable | default | unit | effect |", "|---|---|---|---|"]
        default = f"`{row.default}`" if row.default else ""
        effect = "the same" if row.effect == before else row.effect.replace("|", "\\|")
        before = row.effect
        lines.append(f"| `{row.name}` | {default} | {unit(row.name, kinds[row.name])} | {effect} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    text = page(EXAMPLE.read_text(encoding="utf-8"), SETTINGS.read_text(encoding="utf-8"))
    if "--check" not in sys.argv:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == text:
        return 0
    print("docs/settings.md is not what .env.example says: run make settings")
    return 1


if __name__ == "__main__":
    sys.exit(main())
