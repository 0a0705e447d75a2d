"""Pausing and resuming from the board: a page that asks, then the service that does it."""

import uuid
from datetime import timedelta
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone

from apps.accounts.models import Organization, User
from apps.queue import pauses
from apps.queue.lanes import lane_names
from apps.queue.models import Pause

BOARD = "admin:queue_board_changelist"
PERMISSION = "queue.change_pause"
EVERY_LANE = "every lane"
SPANS = {
    "": ("until somebody resumes it", None),
    "15": ("15 minutes", timedelta(minutes=15)),
    "60": ("1 hour", timedelta(hours=1)),
    "240": ("4 hours", timedelta(hours=4)),
    "1440": ("1 day", timedelta(days=1)),
}


class PauseForm(forms.Form):
    """What is paused, for how long, and why. `organization` becomes one, or None for all."""

    lane = forms.ChoiceField(required=False)
    organization = forms.CharField(
        required=False,
        max_length=200,
        help_text="Its id or its whole name. Empty: all organizations.",
    )
    lasts = forms.ChoiceField(
        required=False,
        label="How long",
        choices=[(key, each[0]) for key, each in SPANS.items()],
    )
    reason = forms.CharField(
        max_length=200,
        help_text="Shown wherever somebody wonders why nothing starts.",
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )

    def __init__(self, **given: Any) -> None:
        super().__init__(label_suffix="", **given)
        lanes = [("", EVERY_LANE), *((name, name) for name in lane_names())]
        cast(forms.ChoiceField, self.fields["lane"]).choices = lanes

    def clean_organization(self) -> Organization | None:
        text = self.cleaned_data["organization"].strip()
        if not text:
            return None
        found = list(_called(text)[:2])
        if not found:
            raise forms.ValidationError("No organization has this id or name.")
        if len(found) > 1:
            raise forms.ValidationError("Several have this name: give the id of one.")
        return found[0]

    def pause(self, by: User) -> Pause:
        span = SPANS[self.cleaned_data["lasts"]][1]
        return pauses.pause(
            by=by,
            lane=self.cleaned_data["lane"],
            organization=self.cleaned_data["organization"],
            reason=self.cleaned_data["reason"],
            until=timezone.now() + span if span else None,
        )


def _called(text: str) -> QuerySet[Organization]:
    try:
        return Organization.objects.filter(pk=uuid.UUID(text))
    except ValueError:
        return Organization.objects.filter(name=text)


def pause_view(request: HttpRequest) -> HttpResponse:
    """Asks what to pause and why (`?lane=` is chosen already), then does it."""
    _require(request)
    form = PauseForm(data=request.POST or None, initial={"lane": request.GET.get("lane", "")})
    if request.method == "POST" and form.is_valid():
        made = form.pause(cast(User, request.user))
        messages.success(request, f"Paused: {in_words(made)}.")
        return redirect(BOARD)
    return _page(request, "Pause", form=form)


def resume_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks whether to end that pause, then does it."""
    _require(request)
    pause = get_object_or_404(Pause.objects.select_related("organization", "paused_by"), pk=pk)
    if request.method == "POST":
        by = cast(User, request.user)
        if pauses.resume(by=by, lane=pause.lane, organization=pause.organization):
            messages.success(request, f"Resumed: {in_words(pause)}.")
        else:
            messages.warning(request, f"{in_words(pause)} was resumed before.")
        return redirect(BOARD)
    return _page(request, "Resume", pause=pause, paused=in_words(pause))


def in_words(pause: Pause) -> str:
    """What it holds back."""
    lane = f"lane {pause.lane}" if pause.lane else EVERY_LANE
    return f"{lane} for {pause.organization or 'all organizations'}"


def _require(request: HttpRequest) -> None:
    if not cast(User, request.user).has_perm(PERMISSION):
        raise PermissionDenied


def _page(request: HttpRequest, title: str, **more: Any) -> HttpResponse:
    context = admin.site.each_context(request) | {"title": title} | more
    return TemplateResponse(request, "admin/queue/pause.html", context)
