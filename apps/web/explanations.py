"""What each error code means: the pages that the `type` of a problem leads to.

They say what docs/errors.md says, which is where it is written.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from apps.core.errors import NotFound
from apps.ratelimits.decorators import never_limited

CODE = re.compile(r"`([a-z_]+\.[a-z_]+)`")
LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")
"""Into other pages of the documentation, which is not served here: its words alone are told."""


@dataclass(frozen=True)
class Explanation:
    """One code; `facts` by what the head of its column says."""

    code: str
    about: str
    facts: tuple[tuple[str, str], ...]

    def told(self) -> list[tuple[str, SafeString]]:
        return [(name.capitalize(), _marked(text)) for name, text in self.facts]

    def gist(self) -> SafeString:
        """When it is told, which every table has before what to do."""
        return _marked(self.facts[-2][1])


@cache
def explanations() -> dict[str, Explanation]:
    """By code; none where the documentation is not installed with the program."""
    path = settings.BASE_DIR / "docs" / "errors.md"
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    return {each.code: each for each in _read(text)}


def _read(text: str) -> list[Explanation]:
    found, about, names = [], "", [""]
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("## "):
            about = line.removeprefix("## ")
        elif line.startswith("| code |"):
            names = cells
        elif line.startswith("| `") and (code := CODE.fullmatch(cells[0])):
            facts = tuple(zip(names[1:], cells[1:], strict=True))
            found.append(Explanation(code[1], about, facts))
    return found


def _marked(text: str) -> SafeString:
    """`text` as a sentence begins, with what stands in backticks as code."""
    words = LINK.sub(r"\1", text)
    parts = (words[:1].upper() + words[1:]).split("`")
    marked = (format_html("<code>{}</code>" if at % 2 else "{}", p) for at, p in enumerate(parts))
    return format_html_join("", "{}", ((each,) for each in marked))


@never_limited
@require_safe
def explain(request: HttpRequest, code: str) -> HttpResponse:
    """The page of one code. Raises NotFound."""
    found = explanations().get(code)
    if found is None:
        raise NotFound("There is no such error code.")
    return render(request, "web/error_code.html", {"found": found})


@never_limited
@require_safe
def explain_all(request: HttpRequest) -> HttpResponse:
    """All codes, as docs/errors.md groups them."""
    groups: dict[str, list[Any]] = {}
    for each in explanations().values():
        groups.setdefault(each.about, []).append(each)
    return render(request, "web/error_codes.html", {"groups": groups.items()})
