"""The cache in the admin: what is kept, how often it is found, and ending it."""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

import time
from collections import Counter
from datetime import datetime, timedelta
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from apps.caching import statistics
from apps.caching.kinds import TABLE
from apps.caching.memory_cache import MemoryCache
from apps.caching.models import CacheNow
from apps.caching.overview import biggest_first, rows_of
from apps.caching.services import choose, clear, invalidate_chosen
from apps.caching.statistics import Numbers
from apps.caching.stores import store
from apps.core.admin import ReadOnly
from apps.core.errors import InvalidInput, Unavailable
from apps.core.spans import SPANS, Drawn, drawn

PAGE = "admin:caching_cachenow_changelist"
CHANGE = "caching.change_cachenow"
SHOWN_SPANS = {key: SPANS[key] for key in ("hour", "day")}
"""Redis keeps the numbers of two days."""
OUTCOMES = {
    "hit": ("good", "found"),
    "stale": ("busy", "found and computed anew"),
    "wait": ("none", "waited for"),
    "miss": ("warn", "computed"),
    "error": ("bad", "could not be computed"),
}
"""What is drawn: outcome -> colour, words."""


class InvalidateForm(forms.Form):
    """What is to be ended: one tag, kind or pattern, or everything."""

    by = forms.ChoiceField(
        choices=[("tag", "tag"), ("kind", "kind"), ("pattern", "pattern"), ("all", "everything")],
        label="By",
    )
    name = forms.CharField(
        required=False,
        max_length=254,
        label="Which",
        help_text="A tag such as org:... with an id; a kind; or a pattern: the name of a kind "
        "with * and ?, or org:* for the tags of all organizations.",
    )
    soft = forms.BooleanField(required=False, label="Serve what is old while it is computed anew")
    reason = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="Kept in the audit log, with your name.",
    )


@admin.register(CacheNow)
class CacheAdmin(ReadOnly):
    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.changelist_view), name="caching_cachenow_changelist"),
            path("invalidate/", wrap(self.invalidate_view), name="caching_cachenow_invalidate"),
        ]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(cast(Any, request.user).has_perm(CHANGE))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        given = request.GET.get("span", "")
        key = given if given in SHOWN_SPANS else "hour"
        context = {
            **self._around(request, "Cache"),
            "form": InvalidateForm(label_suffix=""),
            "now": timezone.now(),
            "may_change": self.has_change_permission(request),
            "is_off": not settings.ENABLE_CACHING,
            "span": key,
            "spans": SHOWN_SPANS,
            "outcomes": OUTCOMES,
            **_counted(key),
        }
        return TemplateResponse(request, "admin/caching/cache.html", context)

    def invalidate_view(self, request: HttpRequest) -> HttpResponse:
        """Asks whether to, then does it."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        form = InvalidateForm(request.POST or request.GET, label_suffix="")
        if not form.is_valid():
            messages.error(request, "Nothing was invalidated: say by what, and which.")
            return redirect(PAGE)
        data = form.cleaned_data
        try:
            what = _done(request, data) if request.method == "POST" else _meant(data)
        except (InvalidInput, Unavailable) as error:
            messages.error(request, f"Nothing was invalidated. {error}")
            return redirect(PAGE)
        if request.method == "POST":
            messages.success(request, f"Invalidated: {what}.")
            return redirect(PAGE)
        context = {**self._around(request, "Invalidate"), "form": form, "what": what, "data": data}
        return TemplateResponse(request, "admin/caching/invalidate.html", context)

    def _around(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "is_alone": isinstance(store().shared, MemoryCache),
        }


def _meant(data: dict[str, Any]) -> str:
    """In words. Raises InvalidInput and Unavailable."""
    return "everything" if data["by"] == "all" else str(choose(**_named(data)))


def _done(request: HttpRequest, data: dict[str, Any]) -> str:
    """Ends it, and says what. Raises InvalidInput and Unavailable."""
    by, reason = cast(AbstractBaseUser, request.user), data["reason"]
    if data["by"] == "all":
        return f"everything; {clear(by=by, reason=reason):,} values were removed"
    chosen = choose(**_named(data))
    invalidate_chosen(by=by, chosen=chosen, soft=data["soft"], reason=reason)
    return str(chosen)


def _named(data: dict[str, Any]) -> dict[str, Any]:
    name = data["name"].strip()
    return {
        "tags": [name] if data["by"] == "tag" else [],
        "kinds": [name] if data["by"] == "kind" else [],
        "pattern": name if data["by"] == "pattern" else "",
    }


def _counted(key: str) -> dict[str, Any]:
    """What was counted over the span `key`: rows and charts; None for both while Redis is away."""
    starts = SHOWN_SPANS[key].starts()
    first = int(starts[0].timestamp() // 60)
    minutes = range(first, int(time.time() // 60) + 1)
    counted, sizes = statistics.numbers(minutes), statistics.sizes()
    if counted is None or sizes is None:
        return {"rows": None, "charts": None}
    rows = biggest_first(rows_of(statistics.together(counted), sizes))
    return {"rows": rows, "charts": _charts(key, starts, minutes, counted)}


def _charts(
    key: str, starts: list[datetime], minutes: range, counted: list[Numbers]
) -> list[Drawn]:
    """Of every kind that anybody asked for."""
    step = int(SHOWN_SPANS[key].step / timedelta(minutes=1))
    found = {kind: {start: Counter[str]() for start in starts} for kind in TABLE}
    for minute, kinds in zip(minutes, counted, strict=True):
        start = starts[min((minute - minutes[0]) // step, len(starts) - 1)]
        for kind, fields in kinds.items():
            found[kind][start] += Counter({name: fields[name] for name in OUTCOMES})
    asked = {kind: places for kind, places in found.items() if any(places.values())}
    return [drawn(kind, key, places=places, outcomes=OUTCOMES) for kind, places in asked.items()]
