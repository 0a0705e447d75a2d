"""The browsable API: what an address of it answers, on a page in the frame of the other pages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from rest_framework.exceptions import APIException
from rest_framework.metadata import BaseMetadata
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse as absolute

from apps.core.context import current_request_id
from apps.core.errors import DocmillError

if TYPE_CHECKING:
    # That module reads the setting that names this one while it is being imported.
    from rest_framework.views import APIView

MAX_SHOWN = 200_000
"""Characters of an answer that a page shows; programs get all of it."""

STRING = re.compile(r'("(?:[^"\\]|\\.)*")(:?)')
"""A string of a JSON text; what is followed by a colon is a name."""


@dataclass(frozen=True)
class Offer:
    """What a page offers to send: a button, a form where fields are needed.

    A view that takes more than GET has a method `offers(request)` that lists what the caller may
    send now. `url` is of the page itself when empty; `warning` is what is asked before.
    """

    label: str
    method: str = "POST"
    url: str = ""
    form: forms.Form | None = None
    warning: str = ""


@dataclass(frozen=True)
class Block:
    """A paragraph of a description, or a piece of code in it."""

    text: str
    is_code: bool


@dataclass(frozen=True)
class Link:
    """What stands below an address. A view names them in `below`: (route's name, sentence)."""

    path: str
    about: str


class BrowsablePages(BrowsableAPIRenderer):
    """REST framework's, without its scripts, styles, and forms made of serializers.

    Those forms list every row that a field could point at. Here a form is one that the view
    offers, so that nothing is on a page but the answer itself.
    """

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> Any:
        response: Response = renderer_context["response"]
        if response.status_code >= 500:
            # Who asks and what they may see could be what is broken: drawn without the request.
            seconds = response.get("Retry-After")
            told = {"error": data, "retry_after": int(seconds) if seconds else None}
            return render_to_string("error.html", told)
        return super().render(data, accepted_media_type, renderer_context)

    def get_context(
        self, data: Any, accepted_media_type: str | None, renderer_context: Any
    ) -> dict[str, Any]:
        view, request, response = (renderer_context[n] for n in ("view", "request", "response"))
        name = view.get_view_name()
        text = JSONRenderer().render(data, renderer_context={"indent": 2}).decode()
        is_problem = response.status_code >= 400
        above = _above(self.get_breadcrumbs(request), name)
        return {
            "name": name,
            "breadcrumbs": above,
            "description": list(blocks(description_of(view, request))),
            "below": [] if is_problem or response.status_code == 204 else list(_below(view)),
            "left_for": list(above.items())[-1] if response.status_code == 204 else None,
            "response": response,
            "headers": _headers(response),
            "retry_after": response.get("Retry-After"),
            "body": drawn(text[:MAX_SHOWN], _address(request)),
            "is_cut": len(text) > MAX_SHOWN,
            "page": data if isinstance(data, dict) and "results" in data else None,
            "problem": data if is_problem else None,
            "filters": filter_form(view, request) if response.status_code in (200, 400) else None,
            "offers": _offers(view, request),
            "is_read": request.method == "GET" and response.status_code != 405,
        }


class Metadata(BaseMetadata):
    """The answer to OPTIONS: what the address is for and what it takes."""

    def determine_metadata(self, request: Request, view: "APIView") -> dict[str, Any]:
        form = filter_form(view, request)
        return {
            "name": view.get_view_name(),
            "description": description_of(view, request),
            "methods": view.allowed_methods,
            "parameters": [_parameter(name, field) for name, field in form.fields.items()]
            if form
            else [],
            "schema": absolute("schema", request=request),
        }


def _parameter(name: str, field: forms.Field) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "description": str(field.help_text)}
    if isinstance(field, forms.ChoiceField):
        choices: Any = field.choices
        told["choices"] = [value for value, _ in choices if value]
    return told


def _address(request: Request) -> str:
    """Of this server, as the caller reached it, without a slash at its end."""
    return str(request.build_absolute_uri("/")).rstrip("/")


def description_of(view: "APIView", request: Request) -> str:
    """What the view says of itself, with this server's address and the page's own ids in the
    examples: `$DOCMILL`, and `$JOB` for an argument `job_id` of its path."""
    text = str(view.get_view_description()).replace("$DOCMILL", _address(request))
    for name, value in view.kwargs.items():
        text = text.replace(f"${name.removesuffix('_id').upper()}", str(value))
    return text


def blocks(description: str) -> Iterator[Block]:
    """Its paragraphs; those indented by four spaces are code."""
    for paragraph in re.split(r"\n\s*\n", description.strip("\n")):
        lines = paragraph.splitlines()
        if all(line.startswith("    ") for line in lines):
            yield Block("\n".join(line[4:] for line in lines), is_code=True)
        else:
            yield Block(" ".join(paragraph.split()), is_code=False)


def drawn(text: str, address: str) -> SafeString:
    """JSON as HTML: names set off, and addresses of this server as links. No other address is
    one, for names of files and what is written in them are strangers' words."""
    parts, end = [], 0
    for found in STRING.finditer(text):
        parts.append(conditional_escape(text[end : found.start()]))
        parts.append(_string(found[1], is_name=bool(found[2]), address=address))
        end = found.end(1)
    return mark_safe("".join([*parts, conditional_escape(text[end:])]))  # noqa: S308  escaped above


def _string(quoted: str, *, is_name: bool, address: str) -> SafeString:
    inner = quoted[1:-1]
    if is_name:
        return format_html("<b>{}</b>", quoted)
    if inner.startswith(f"{address}/") and "\\" not in inner:
        return format_html('"<a href="{}">{}</a>"', inner, inner)
    return conditional_escape(quoted)


def _above(breadcrumbs: list[tuple[str, str]], name: str) -> dict[str, str]:
    """Name -> address of what the page `name` stands below, once where two addresses are one."""
    return {each: url for each, url in breadcrumbs if each != name}


def _headers(response: Response) -> list[tuple[str, str]]:
    """Those that programs get: their media type instead of the page's, and the request's id."""
    told = dict(response.items())
    is_problem = response.status_code >= 400
    told["Content-Type"] = "application/problem+json" if is_problem else "application/json"
    if response.status_code == 204:
        del told["Content-Type"]
    return sorted({**told, "X-Request-ID": current_request_id()}.items())


def _below(view: "APIView") -> Iterator[Link]:
    for route, about in getattr(view, "below", ()):
        path = reverse(route, kwargs=view.kwargs)
        yield Link(path, about)


def _offers(view: "APIView", request: Request) -> list[Offer]:
    """What the view offers; nothing to those who may not even see what it is about."""
    try:
        return list(view.offers(request)) if hasattr(view, "offers") else []
    except (DocmillError, APIException):
        return []


def filter_form(view: Any, request: Request) -> forms.Form | None:
    """The view's filters and the length of its pages, as asked for; None when it has none."""
    filters = getattr(view, "filterset_class", None)
    if filters is None:
        return None
    pages: Any = view.paginator
    data = request.query_params.copy()
    data.setdefault("limit", str(pages.page_size))
    form: forms.Form = filters(data, queryset=view.queryset).form
    form.fields["limit"] = forms.IntegerField(
        label="Rows on a page",
        min_value=1,
        max_value=pages.max_page_size,
        help_text=f"1 to {pages.max_page_size}.",
    )
    return form
