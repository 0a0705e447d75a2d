"""Pages by cursor: stable while rows are added, no COUNT(*)."""

from rest_framework import pagination
from rest_framework.request import Request

from apps.core.errors import FieldError, InvalidInput

MAX_LIMIT = 100
DEFAULT_LIMIT = 50


class CursorPagination(pagination.CursorPagination):
    """`{"next", "previous", "results"}`; `limit` 1 to 100, out of range is a 400, never clamped."""

    page_size = DEFAULT_LIMIT
    page_size_query_param = "limit"
    max_page_size = MAX_LIMIT
    ordering = ("-created_at", "-id")

    def get_page_size(self, request: Request) -> int:
        given = request.query_params.get("limit")
        if given is None:
            return DEFAULT_LIMIT
        if not given.isascii() or not given.isdigit() or not 1 <= int(given[:9]) <= MAX_LIMIT:
            detail = f"limit must be a whole number from 1 to {MAX_LIMIT}."
            raise InvalidInput(detail, errors=[FieldError("limit", "out_of_range", detail)])
        return int(given)
