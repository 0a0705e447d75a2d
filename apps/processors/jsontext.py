"""JSON (RFC 8259) and lines of JSON: checked and counted, kept as it is written."""

import json

from apps.processors.described import Described
from apps.processors.errors import BadDocument

LINE_EXTENSIONS = (".jsonl", ".ndjson")
TOO_DEEP = "The JSON is nested too deep to be checked; its text is kept as it stands."


def describe(text: str, name: str) -> Described:
    """What the value is, and how many keys or values are at its top; of lines, how many.

    Raises BadDocument "document.corrupt" with the line and column where it stops to be JSON.
    """
    try:
        if name.lower().endswith(LINE_EXTENSIONS):
            return _lines(text)
        try:
            return Described(_Counted(text).metadata)
        except json.JSONDecodeError as error:
            if error.msg != "Extra data":
                raise
            return _lines(text)  # one value after the other, under the wrong extension
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at").removesuffix(" starting")
        raise BadDocument(
            "document.corrupt",
            f"This is no JSON from line {error.lineno}, column {error.colno} on: {what}.",
        ) from error
    except RecursionError:
        return Described(warnings=(TOO_DEEP,))


def _lines(text: str) -> Described:
    count = start = 0
    for line in text.split("\n"):
        if line.strip():
            try:
                _Counted(line)
            except json.JSONDecodeError as error:
                raise json.JSONDecodeError(error.msg, text, start + error.pos) from error
            count += 1
        start += len(line) + 1
    return Described({"lines": str(count)})


class _Counted:
    """Reads without keeping: objects become nothing as soon as they are read."""

    def __init__(self, text: str) -> None:
        self._keys = 0
        # Numbers may have more digits than Python likes to turn into whole ones.
        value = json.loads(text, object_pairs_hook=self._object, parse_int=float)
        self.metadata = self._described(value)

    def _object(self, pairs: list[tuple[str, object]]) -> "_Counted":
        self._keys = len(pairs)  # the outermost comes last
        return self

    def _described(self, value: object) -> dict[str, str]:
        if value is self:
            return {"type": "object", "keys": str(self._keys)}
        if isinstance(value, list):
            return {"type": "array", "values": str(len(value))}
        return {"type": "value"}
