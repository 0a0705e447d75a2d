"""What every list of the admin shares: bounded counts, filters, and searches that use indexes."""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import ERROR_FLAG, ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

COUNT_LIMIT = 10_000
"""Rows that a list counts and pages through; beyond it says that there are more."""
MAX_TERM = 200
SPANS = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
}
SHA256 = re.compile(r"[0-9a-fA-F]{64}")
ID_START = re.compile(r"[0-9a-fA-F]{8}[0-9a-fA-F-]{0,27}")


class BoundedPaginator(Paginator):
    """Never asks the database to count more than COUNT_LIMIT rows and one."""

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: COUNT_LIMIT + 1].count())

    @cached_property
    def count(self) -> int:
        return min(self._counted, COUNT_LIMIT)

    @property
    def has_more(self) -> bool:
        """Whether there are rows that were neither counted nor are on any page."""
        return self._counted > COUNT_LIMIT


class FilteredList(ChangeList):
    """Takes the parameters of the list's filters. Django's takes any lookup of any field: a regular
    expression that never ends, or the first letters of a secret."""

    def get_filters(self, request: HttpRequest) -> Any:
        found = super().get_filters(request)
        others = found[2]
        if others:
            raise IncorrectLookupParameters
        return found


class Listing(admin.ModelAdmin):
    """Base of every list. What is searched for decides how:

    a whole id is looked up in each of `id_lookups`, a SHA-256 in `sha256_lookups`, an address in
    `email_lookups`; the first that finds something is the answer. The start of an id is looked for
    among the ids, and what is none of these anywhere in `search_fields`, if there are any.
    """

    id_lookups: Sequence[str] = ()
    sha256_lookups: Sequence[str] = ()
    email_lookups: Sequence[str] = ()
    list_per_page = 50
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # they count the whole table, once for every choice

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:
        return FilteredList

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        if request.method == "GET" and ERROR_FLAG in request.GET:  # Django led here from bad ones
            told = "The address had filters that this list does not know: here are all."
            self.message_user(request, told, messages.WARNING)
        # PostgreSQL refuses NUL only when the query runs, where Django expects no bad parameter.
        if any("\x00" in value for _, values in request.GET.lists() for value in values):
            raise IncorrectLookupParameters
        return super().get_changelist_instance(request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if len(term) > MAX_TERM or "\x00" in term:
            return queryset.none(), False
        for lookup, value in self._exact(term):
            found = queryset.filter(**{lookup: value})
            if found.exists():
                return found, False
        if not self.search_fields or SHA256.fullmatch(term) or _uuid(term):
            return queryset.none(), False
        anywhere = Q()
        for field in self.search_fields:
            anywhere |= Q(**{f"{field}__icontains": term})
        return queryset.filter(anywhere), False

    def _exact(self, term: str) -> Iterator[tuple[str, Any]]:
        """Lookups that an index answers, best first."""
        whole = _uuid(term)
        if whole:
            yield from ((lookup, whole) for lookup in self.id_lookups)
        elif SHA256.fullmatch(term):
            yield from ((lookup, term.lower()) for lookup in self.sha256_lookups)
        elif "@" in term:
            yield from ((lookup, term.lower()) for lookup in self.email_lookups)
        elif "pk" in self.id_lookups and ID_START.fullmatch(term):
            digits = term.replace("-", "")[:32]
            yield "pk__range", (uuid.UUID(digits.ljust(32, "0")), uuid.UUID(digits.ljust(32, "f")))

    def response_action(
        self, request: HttpRequest, queryset: QuerySet, *more: Any
    ) -> HttpResponse | None:
        if chosen_ids(self, request) is None:
            self.message_user(request, "These ids are not valid.", messages.WARNING)
            return None
        return super().response_action(request, queryset, *more)


class ReadOnly(Listing):
    """Rows that are seen here and changed elsewhere, by the code that owns them."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LinkedFilter(admin.RelatedFieldListFilter):
    """Shown only while it is in force, which a link to the list has made it: the row it holds to,
    and the way back to all. So it lists neither thousands of rows nor asks for them, and names
    none but those that the list itself leads to."""

    def field_choices(
        self, field: Any, request: HttpRequest, model_admin: admin.ModelAdmin
    ) -> list[tuple[str, Any]]:
        values: Any = self.lookup_val
        if not values:
            return []
        try:
            listed = model_admin.get_queryset(request).filter(**{field.name: values[-1]})
            row = field.related_model._default_manager.filter(pk=values[-1]).first()
            return [(row.pk, str(row))] if row and listed.exists() else []
        except (ValidationError, ValueError):
            return []

    def has_output(self) -> bool:
        return self.lookup_val is not None

    def expected_parameters(self) -> list[str | None]:
        return [self.lookup_kwarg]


class TextFilter(admin.SimpleListFilter):
    """A filter that is typed, where there are too many values to list. `asks_for` says what."""

    template = "admin/text_filter.html"
    asks_for = "Name or id"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Any:
        return ()

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: Any) -> Iterator[Any]:
        """One: what the template draws the form with."""
        kept = changelist.filter_params.items()
        yield {
            "name": self.parameter_name,
            "asks_for": self.asks_for,
            "value": self.value() or "",
            "others": [(k, v) for k, vs in kept if k != self.parameter_name for v in vs],
            "clear": changelist.get_query_string(remove=[self.parameter_name]),
            "found": self.found(),
        }

    def found(self) -> str:
        """What the value was taken for; empty when nothing was typed."""
        raise NotImplementedError


class MadeFilter(admin.SimpleListFilter):
    """How long ago the row was made, read off its id: ids sort by time, and have an index."""

    title = "time"
    parameter_name = "made"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Any:
        return [(name, f"Past {name}") for name in SPANS]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        name = self.value()
        if name is None:
            return queryset
        if name not in SPANS:
            raise IncorrectLookupParameters
        span = SPANS[name]
        milliseconds = int((timezone.now() - span).timestamp() * 1000)
        return queryset.filter(pk__gte=uuid.UUID(int=milliseconds << 80))


def one_of(
    parameter: str, values: Sequence[Any] | Callable[[], Sequence[Any]], title: str = ""
) -> type[admin.SimpleListFilter]:
    """A filter of the field `parameter` by fixed values, or (value, label) pairs.

    Django's own would ask the table for all values there are in it.
    """

    class OneOf(admin.SimpleListFilter):
        def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Any:
            known = values() if callable(values) else values
            return [each if isinstance(each, tuple) else (str(each), str(each)) for each in known]

        def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
            value = self.value()
            if value is None:
                return queryset
            # Not all rows: an action would then run on all.
            if value not in {str(known) for known, _ in self.lookup_choices}:
                raise IncorrectLookupParameters
            return queryset.filter(**{parameter: value})

    OneOf.title = title or parameter.replace("_", " ")
    OneOf.parameter_name = parameter
    return OneOf


IS_HELD = one_of("is_held", ((True, "Held back"), (False, "Not held back")), title="held back")


def url_of(row: Model) -> str:
    """The page of `row` in the admin."""
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return reverse(name, args=(quote(row.pk),))


def link_to(row: Model | None) -> SafeString | str:
    """A link to the page of `row`, by its own name."""
    return format_html('<a href="{}">{}</a>', url_of(row), row) if row else "-"


def link_to_list(model: type[Model], text: str, **filters: object) -> SafeString:
    """A link called `text` to the list of `model`, filtered."""
    opts = model._meta
    url = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist", query=filters)
    return format_html('<a href="{}">{}</a>', url, text)


def span(start: datetime | None, end: datetime | None) -> str:
    """The time between two moments, in seconds below a minute; `-` while there is no end."""
    if start is None or end is None:
        return "-"
    seconds = (end - start).total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"


def state_of(name: str) -> SafeString:
    return format_html('<span class="state state-{}">{}</span>', name, name.replace("_", " "))


def _uuid(term: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(term)
    except ValueError:
        return None


def chosen_ids(model_admin: admin.ModelAdmin, request: HttpRequest) -> list[Any] | None:
    """The ids that the form chose; None when one of them can be no id."""
    key: Any = model_admin.opts.pk
    try:
        return [key.clean(each, None) for each in request.POST.getlist(ACTION_CHECKBOX_NAME)]
    except ValidationError:
        return None
