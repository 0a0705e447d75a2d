"""What staff do to jobs and files: to chosen rows at once, or to all that match, as work."""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

import uuid
from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ALL_VAR, ERROR_FLAG, ORDER_VAR, PAGE_VAR
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from apps.accounts.actor import Actor
from apps.accounts.models import User
from apps.core.admin import url_of
from apps.core.admin_actions import ServiceAction, ServiceAdmin
from apps.core.errors import DocmillError
from apps.jobs import bulk
from apps.jobs.models import CONTAINERS, BatchFile, BatchJob
from apps.jobs.verbs import Deed, Verb

NO_FILTER = (PAGE_VAR, ORDER_VAR, ALL_VAR, ERROR_FLAG)


class Confirmation(forms.Form):
    """What the preview sends back: which one it was, how much it showed, and why it is done."""

    key = forms.UUIDField(widget=forms.HiddenInput)
    up_to = forms.UUIDField(widget=forms.HiddenInput)
    shown = forms.IntegerField(widget=forms.HiddenInput, required=False)
    reason = forms.CharField(
        max_length=200,
        required=False,
        help_text="Kept in the audit log; for a pause, shown to the people of the jobs.",
    )


def actions_of(verbs: Mapping[str, Verb]) -> tuple[ServiceAction, ...]:
    """The verbs as actions on chosen rows."""
    return tuple(
        ServiceAction(
            name=verb.name,
            label=verb.label,
            done=verb.done,
            effect=verb.effect,
            permission=verb.permission,
            perform=partial(_perform, verb),
            fits=verb.fits,
            # The first file alone would open the job, and a job that is open takes no others.
            together=partial(_together, verb),
            deletes=verb.deletes,
        )
        for verb in verbs.values()
    )


def _perform(verb: Verb, user: User, *rows: BatchJob | BatchFile) -> None:
    """Raises a DocmillError unless it can be done to all of them, which are of one job."""
    actor = Actor.operator(user, rows[0].organization)
    files = [row for row in rows if isinstance(row, BatchFile)]
    [job] = {row.job if isinstance(row, BatchFile) else row for row in rows}
    verb.perform(Deed(actor, job, files))


def _together(verb: Verb, row: BatchJob | BatchFile) -> Hashable:
    if not isinstance(row, BatchFile):
        return row.pk
    is_spared = verb.spares_opened and row.kind in CONTAINERS and row.members.exists()
    return row.job_id, verb.fits(row), is_spared


class BulkAdmin(ServiceAdmin):
    """A list whose actions are also offered for all rows that match its filters."""

    bulk_of: str

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.bulk_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_bulk"
        return [path("bulk/<slug:operation>/", view, name=name), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        filters = {k: v for k, v in request.GET.dict().items() if k not in NO_FILTER}
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_bulk"
        offered = [
            (verb.label, reverse(name, args=(verb.name,), query=filters or None))
            for verb in bulk.VERBS[self.bulk_of].values()
            if request.user.has_perm(verb.permission)
        ]
        return super().changelist_view(request, {"bulk": offered} | (extra_context or {}))

    def bulk_view(self, request: HttpRequest, operation: str) -> HttpResponse:
        """Shows what would be done to all that match the list's filters, which are this page's
        query; posted, has it done as background work."""
        verb = bulk.VERBS[self.bulk_of].get(operation)
        if verb is None:
            raise Http404
        if not (self.has_view_permission(request) and request.user.has_perm(verb.permission)):
            raise PermissionDenied
        form = Confirmation(request.POST if request.method == "POST" else None)
        try:
            if form.is_bound and form.is_valid():
                return self._request(request, verb, form.cleaned_data)
            if form.is_bound:
                told = " ".join(str(each) for errors in form.errors.values() for each in errors)
                self.message_user(request, f"Nothing was done. {told}", messages.WARNING)
            matching = self._matching(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(f"{self._list_url()}?{ERROR_FLAG}=1")
        except DocmillError as reason:
            self.message_user(request, str(reason), messages.WARNING)
            matching = self._matching(request)
        return self._preview(request, verb, matching)

    def _matching(self, request: HttpRequest, up_to: uuid.UUID | None = None) -> bulk.Matching:
        """What the list shows for the same query, on all of its pages."""
        changelist = self.get_changelist_instance(request)
        filters = {k: v for k, v in request.GET.dict().items() if k not in NO_FILTER}
        return bulk.Matching.now(self.bulk_of, changelist.queryset, filters, up_to)

    def _request(self, request: HttpRequest, verb: Verb, told: dict[str, Any]) -> HttpResponse:
        assert isinstance(request.user, User)
        item = bulk.request_bulk(
            by=request.user,
            verb=verb,
            matching=self._matching(request, told["up_to"]),
            reason=told["reason"],
            at_most=told["shown"],
            key=told["key"].hex,
        )
        return redirect(url_of(item))

    def _preview(self, request: HttpRequest, verb: Verb, matching: bulk.Matching) -> HttpResponse:
        shown = bulk.preview(matching)
        noun = self.opts.verbose_name if shown.count == 1 else self.opts.verbose_name_plural
        number = f"{'more than ' if shown.has_more else ''}{shown.count} {noun}"
        context = {
            **self.admin_site.each_context(request),
            "title": f"{verb.label}: {number}",
            "opts": self.opts,
            "media": self.media,
            "verb": verb,
            "preview": shown,
            "number": number,
            "filters": bulk.in_words(matching.filters),
            "unseen": shown.count - len(shown.first),
            "form": Confirmation(
                initial={
                    "key": uuid.uuid4(),
                    "up_to": matching.up_to,
                    "shown": None if shown.has_more else shown.count,
                }
            ),
            "list_url": f"{self._list_url()}?{urlencode(matching.filters)}",
        }
        return TemplateResponse(request, "admin/bulk_preview.html", context)

    def _list_url(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")


def matching_for(of: str, user: User, filters: Mapping[str, str]) -> bulk.Matching:
    """What the list of jobs or files (`of`) shows to `user` for `filters`, its own parameters.

    Raises IncorrectLookupParameters.
    """
    model = BatchJob if of == "jobs" else BatchFile
    page = admin.site.get_model_admin(model)
    assert isinstance(page, BulkAdmin)
    request = HttpRequest()
    request.method = "GET"
    request.GET = QueryDict(urlencode(filters))
    request.user = user
    return page._matching(request)
