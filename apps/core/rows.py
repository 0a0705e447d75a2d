"""Rows as the API tells them, made with what is the same for all of them found out once.

REST framework asks every field of every row how it is read, and looks up every address anew: that
is most of what a page of fifty rows costs.
"""

from collections.abc import Callable
from datetime import UTC
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.reverse import reverse

Read = Callable[[Any, Any], Any]
"""What a field tells of a row, of the serializer and the row."""
ANY_ID = UUID(int=0)


class Rows(serializers.Serializer[Any]):
    """Serializes what REST framework would, to the letter, for fields that hold one value each.

    To be named before any other base. Fields are read from a serializer that is made once for the
    class, so those that look at their context have to be methods.
    """

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return {name: read(self, instance) for name, read in _readers(type(self))}


@cache
def _readers(kind: type[Rows]) -> list[tuple[str, Read]]:
    return [(name, _reader(kind, field)) for name, field in kind().fields.items()]


def _reader(kind: type[Rows], field: serializers.Field[Any, Any, Any, Any]) -> Read:
    if isinstance(field, serializers.SerializerMethodField):
        method: Read = getattr(kind, str(field.method_name))
        return method
    if isinstance(field, serializers.BaseSerializer | serializers.RelatedField):
        raise TypeError(f"{kind.__name__}.{field.field_name} needs its context: make it a method")
    if isinstance(field, serializers.DateTimeField):
        field.timezone = UTC  # as everything here; else each asks what the thread's is
    value_of, shown = attrgetter(str(field.source)), field.to_representation

    def read(_serializer: Any, row: Any) -> Any:
        value = value_of(row)
        return None if value is None else shown(value)

    return read


class Links:
    """Addresses by the names of routes that take one id, or nothing; each is looked up once."""

    def __init__(self, request: Request | HttpRequest | None = None) -> None:
        self._request = request
        self._found: dict[str, str] = {}

    def __call__(self, name: str, pk: UUID | str | None = None) -> str:
        """The URL; only its path where there is no request, as on pages and the command line."""
        if name not in self._found:
            given = [] if pk is None else [ANY_ID]
            self._found[name] = str(reverse(name, args=given, request=self._request))
        return self._found[name] if pk is None else self._found[name].replace(str(ANY_ID), str(pk))
