"""Pages by cursor: stable while rows are added, no COUNT(*)."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from rest_framework import exceptions, pagination
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.core.errors import FieldError, InvalidInput
from apps.core.filters import is_storable

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

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        self._model = queryset.model
        return super().paginate_queryset(queryset, request, view)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for each in parameters:
            if each["name"] == "limit":
                each["schema"] |= {"minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
        return parameters

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """REST framework's, but with null as OpenAPI 3.1 writes it."""
        page: dict[str, Any] = super().get_paginated_response_schema(schema)
        for name in ("next", "previous"):
            page["properties"][name] = {"type": ["string", "null"], "format": "uri"}
        return page

    def decode_cursor(self, request: Request) -> Any:
        """The cursor of the request. Raises InvalidInput for one that no page of this list gave."""
        try:
            cursor = super().decode_cursor(request)
        except exceptions.NotFound:
            cursor = None
            is_ours = False
        else:
            is_ours = cursor is None or self._is_place(cursor.position)
        if not is_ours:
            detail = "cursor must be taken from next or previous of a page of this list."
            raise InvalidInput(detail, errors=[FieldError("cursor", "invalid", detail)])
        return cursor

    def _is_place(self, position: Any) -> bool:
        """Whether it can be a value of the field by which the list is ordered first."""
        if position is None:
            return True
        field = self._model._meta.get_field(self.ordering[0].lstrip("-"))
        try:
            value = field.to_python(position)
        except ValidationError:
            return False
        return not isinstance(value, datetime) or is_storable(value)
