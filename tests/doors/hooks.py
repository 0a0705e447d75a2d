"""What schemathesis is told of Docmill beyond the schema; loaded by it, in a process of its own."""

import json
import os
import random
from pathlib import Path
from typing import Any

import schemathesis

TOLD = json.loads(Path(os.environ["DOORS"]).read_text())
CALLERS: list[dict[str, str]] = TOLD["callers"]
OWN = frozenset(TOLD["own"])
"""Ids of what the callers come in with: who takes them away knocks at closed doors from then on."""
dice = random.Random(TOLD["seed"])


@schemathesis.serializer("application/offset+octet-stream")
def part(context: Any, value: Any) -> bytes:
    """A part of an upload, which is sent as it is."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    given = {str(each) for each in (case.path_parameters or {}).values()}
    # What is no object becomes an empty form, which is one of no fields.
    is_form = str(case.media_type).startswith("multipart/")
    is_sent = not is_form or isinstance(case.body, dict)
    return is_sent and (case.method == "GET" or not given & OWN)


@schemathesis.hook
def filter_query(context: Any, query: dict[str, Any]) -> bool:
    """Not a list of one for what is no list: in an address the two look alike."""
    return not any(isinstance(value, list) and len(value) == 1 for value in (query or {}).values())


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Comes as one of the callers."""
    case.headers.update(dice.choice(CALLERS))
