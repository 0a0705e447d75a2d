"""Actions of the admin that go through a service, after a page that says what they will do."""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.admin.utils import model_ngettext
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from apps.core.admin import ReadOnly, chosen_ids, url_of
from apps.core.errors import DocmillError

ACTION_LIMIT = 500
"""Rows that one action takes: each is a transaction of its own, in one request."""
PREVIEWED = 20


class Skipped(DocmillError):
    """A row is as the action wants it already, or cannot be made so."""


@dataclass(frozen=True)
class ServiceAction:
    """What an operator does to chosen rows through a service, once they have confirmed it.

    `perform(user, *rows)` raises a DocmillError for what has to be left alone. It is given one row
    at a time, or all for which `together` is the same. Who lacks `permission` neither sees the
    action nor can send it. `fits` says on a row's own page whether the action is worth offering.
    """

    name: str
    label: str
    done: str
    effect: str
    permission: str
    perform: Callable[..., object]
    fits: Callable[[Any], bool]
    together: Callable[[Any], Hashable] = attrgetter("pk")
    deletes: bool = False
    do_not_call_in_templates: ClassVar[bool] = True

    def __call__(
        self, model_admin: "ServiceAdmin", request: HttpRequest, queryset: QuerySet
    ) -> HttpResponse:
        if request.POST.get("confirmed"):
            return self._run(model_admin, request)
        return self._ask(model_admin, request, queryset)

    def _ask(
        self, model_admin: "ServiceAdmin", request: HttpRequest, queryset: QuerySet
    ) -> HttpResponse:
        """The page that says what will happen, to how many rows, and to which first."""
        rows = list(queryset[: ACTION_LIMIT + 1])
        if not rows:
            model_admin.message_user(request, "None of these is there any more.", messages.WARNING)
            return redirect(request.get_full_path())
        taken = rows[:ACTION_LIMIT]
        context = {
            **model_admin.admin_site.each_context(request),
            "title": f"{self.label}: {len(taken)} {model_ngettext(model_admin.opts, len(taken))}",
            "opts": model_admin.opts,
            "media": model_admin.media,
            "action": self,
            "taken": taken,
            "has_more": len(rows) > ACTION_LIMIT,
            "previewed": taken[:PREVIEWED],
            "unseen": max(len(taken) - PREVIEWED, 0),
            "checkbox_name": ACTION_CHECKBOX_NAME,
            "origin": request.POST.get("origin", ""),
        }
        return TemplateResponse(request, "admin/confirm_action.html", context)

    def _run(self, model_admin: "ServiceAdmin", request: HttpRequest) -> HttpResponse:
        """Does it, each row with its entry in the history, and tells what came of it."""
        ids = list(dict.fromkeys(chosen_ids(model_admin, request) or []))[:ACTION_LIMIT]
        # Not as the list was filtered: what has changed since then is told, not left out silently.
        shown = model_admin.get_queryset(request).filter(pk__in=ids)
        related = model_admin.list_select_related
        found = list(shown.select_related(*related) if isinstance(related, tuple) else shown)
        groups = defaultdict[Hashable, list[Model]](list)
        for row in found:
            groups[self.together(row)].append(row)
        done, skipped = 0, defaultdict[str, list[str]](list)
        for rows in groups.values():
            try:
                with transaction.atomic():
                    self._log(request, rows)
                    self.perform(request.user, *rows)
                done += len(rows)
            except DocmillError as reason:
                skipped[str(reason)] += map(str, rows)
        if len(found) < len(ids):
            skipped["No longer there."] += [""] * (len(ids) - len(found))
        self._tell(model_admin, request, done, skipped)
        if request.POST.get("origin") == "row" and found and not self.deletes:
            return redirect(url_of(found[0]))
        return redirect(request.get_full_path())

    def _log(self, request: HttpRequest, rows: list[Model]) -> None:
        """Before the deed, which may take the rows away; undone with it."""
        assert request.user.pk is not None
        LogEntry.objects.log_actions(
            user_id=request.user.pk,
            queryset=rows,
            action_flag=DELETION if self.deletes else CHANGE,
            change_message=f"{self.done}.",
        )

    def _tell(
        self,
        model_admin: "ServiceAdmin",
        request: HttpRequest,
        done: int,
        skipped: dict[str, list[str]],
    ) -> None:
        if done:
            noun = model_ngettext(model_admin.opts, done)
            model_admin.message_user(request, f"{self.done}: {done} {noun}.", messages.SUCCESS)
        for reason, names in skipped.items():
            some = ", ".join(filter(None, names[:3]))
            more = f" and {len(names) - 3} more" if some and len(names) > 3 else ""
            which = f" ({some}{more})" if some else ""
            told = f"Skipped: {len(names)}{which}. {reason}"
            model_admin.message_user(request, told, messages.WARNING)


class ServiceAdmin(ReadOnly):
    """Rows that change through `service_actions` only: from the list, and from their own page."""

    service_actions: Sequence[ServiceAction] = ()

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        plural = self.opts.verbose_name_plural
        return {
            each.name: (each, each.name, f"{each.label}: selected {plural}")
            for each in self._allowed(request)
        }

    def _allowed(self, request: HttpRequest) -> list[ServiceAction]:
        return [each for each in self.service_actions if request.user.has_perm(each.permission)]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"action_limit": ACTION_LIMIT} | (extra_context or {})
        return super().changelist_view(request, context)

    def render_change_form(  # noqa: PLR0917  Django's signature
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        context["row_actions"] = [each for each in self._allowed(request) if each.fits(obj)]
        context["checkbox_name"] = ACTION_CHECKBOX_NAME
        return super().render_change_form(request, context, add, change, form_url, obj)
