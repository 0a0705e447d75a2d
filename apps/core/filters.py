"""Filters that refuse what they do not know: a misspelt parameter must not mean "everything"."""

from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django_filters import IsoDateTimeFilter
from django_filters.fields import IsoDateTimeField
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.core.errors import FieldError, InvalidInput

PAGING_PARAMETERS = frozenset({"limit", "cursor", "format"})


def refuse_unknown_parameters(request: Request, known: frozenset[str] = frozenset()) -> None:
    """Raises InvalidInput that names each query parameter not in `known`."""
    unknown = sorted(set(request.query_params) - known - {"format"})
    if unknown:
        errors = [FieldError(name, "unknown", "There is no such parameter.") for name in unknown]
        raise InvalidInput(f"Unknown query parameters: {', '.join(unknown)}.", errors=errors)


def is_storable(moment: datetime) -> bool:
    """Whether `moment` says its zone and can be told in UTC, as databases are given it."""
    try:
        moment.astimezone(UTC)
    except OverflowError:
        return False
    return moment.tzinfo is not None


class MomentField(IsoDateTimeField):
    def clean(self, value: Any) -> Any:
        moment = super().clean(value)
        if moment is not None and not is_storable(moment):
            raise ValidationError("This moment is out of range.", code="out_of_range")
        return moment


class MomentFilter(IsoDateTimeFilter):
    """A moment in ISO 8601; without a zone it is taken for UTC."""

    field_class = MomentField


def refuse_blank_parameters(request: Request, known: frozenset[str]) -> None:
    """Raises InvalidInput that names each query parameter of `known` that is given without a value.

    It is what a script sends whose variable is unset, and would mean "everything". A form on a page
    sends the fields that nobody filled in too.
    """
    if request.accepted_renderer.format == "api":
        return
    blank = sorted(name for name in known if request.query_params.get(name) == "")
    if blank:
        errors = [FieldError(name, "blank", "Give it a value, or leave it out.") for name in blank]
        raise InvalidInput(f"Query parameters without a value: {', '.join(blank)}.", errors=errors)


class StrictFilterBackend(DjangoFilterBackend):
    """django-filter's backend, and a 400 for query parameters that the view does not have, or that
    have no value."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Model], view: APIView) -> Any:
        filters = self.get_filterset_class(view, queryset)
        known = frozenset(filters.base_filters) if filters else frozenset()
        refuse_unknown_parameters(request, known | PAGING_PARAMETERS)
        refuse_blank_parameters(request, known)
        return super().filter_queryset(request, queryset, view)
