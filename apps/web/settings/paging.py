"""Lists that are too long for one page."""

from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

ROWS = 50


def page_of(request: HttpRequest, rows: QuerySet[Any]) -> Page[Any]:
    """The page that `page` of the address names; the nearest there is, for one that is not."""
    return Paginator(rows, ROWS).get_page(request.GET.get("page"))
