"""What a page of the settings says."""

import re
from typing import Any


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def told(answer: Any) -> list[str]:
    """The notices above the page."""
    found = re.search(r'<ul class="messages">(.*?)</ul>', text_of(answer), re.DOTALL)
    return re.findall(r"<li[^>]*>(.*?)</li>", found[1]) if found else []


def problems(answer: Any) -> dict[str, str]:
    """What is wrong, by the id of the field."""
    found = re.findall(
        r'<p class="problem" role="alert" id="(\w+)_error">(.*?)</p>', text_of(answer)
    )
    return dict(found)


def refusal(answer: Any) -> str:
    """What is said above a form."""
    found = re.search(
        r'<p class="notice" data-kind="error" role="alert">(.*?)</p>', text_of(answer)
    )
    return found[1] if found else ""
