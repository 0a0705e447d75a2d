"""Fails when a function or a file is longer than the house allows, and names it.

Lines are counted as they stand, with docstrings and comments; a function from `def` to its end.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FUNCTION_LINES = 50
FILE_LINES = 400
FOLDERS = ("apps", "config", "tests", "benchmarks", ".ci")

EXEMPT = {
    "config/settings.py": "one flat list of every setting, read top to bottom",
}
"""Path -> reason. Tables of data belong here too; code does not."""


def sources(root: Path) -> Iterator[Path]:
    """Python files to measure: everything but what is generated and what is exempt."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            relative = path.relative_to(root)
            if "migrations" not in relative.parts and relative.as_posix() not in EXEMPT:
                yield relative


def findings(path: Path, source: str) -> Iterator[str]:
    """One line for each thing in `source` that is too long, as `path:line: what`."""
    length = len(source.splitlines())
    if length > FILE_LINES:
        yield f"{path}:1: the file has {length} lines, {FILE_LINES} allowed"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                excess = f"{node.name} has {length} lines, {FUNCTION_LINES} allowed"
                yield f"{path}:{node.lineno}: {excess}"


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    too_long = [
        finding
        for path in sources(root)
        for finding in findings(path, (root / path).read_text(encoding="utf-8"))
    ]
    gone = [f"{path}:1: exempt, but not there" for path in EXEMPT if not (root / path).is_file()]
    for finding in too_long + gone:
        print(finding)
    return 1 if too_long or gone else 0


if __name__ == "__main__":
    sys.exit(main())
