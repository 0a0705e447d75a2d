"""The organization's audit log."""

from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from apps.accounts.actor import Actor
from apps.accounts.reading import entries_seen_by
from apps.audit import exporting
from apps.audit.models import Checkpoint, chain_of
from apps.ratelimits.decorators import limited
from apps.web.access import members_only
from apps.web.words import told

ROWS = 50
KEPT = ("action", "actor", "since", "until")
"""Of the address, on the way to older entries."""


def _typed(example: str) -> forms.TextInput:
    return forms.TextInput(attrs={"placeholder": example, "autocomplete": "off"})


def _day() -> forms.DateInput:
    return forms.DateInput(attrs={"type": "date"})


class AuditForm(forms.Form):
    """Which entries are shown. The last day counts too."""

    action = forms.CharField(required=False, max_length=64, widget=_typed("job.delete"))
    actor = forms.CharField(
        required=False, max_length=254, label="Who", widget=_typed("E-mail address")
    )
    since = forms.DateField(required=False, label="From", widget=_day())
    until = forms.DateField(required=False, label="To", widget=_day())
    before = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        since, until = data.get("since"), data.get("until")
        if since and until and until < since:
            self.add_error("until", "This is before the first day.")
        return data

    def chosen(self) -> exporting.Chosen:
        data = self.cleaned_data
        since, until = data.get("since"), data.get("until")
        return exporting.Chosen(
            action=data.get("action", "").strip(),
            actor=data.get("actor", "").strip().lower(),
            since=datetime.combine(since, time.min, UTC) if since else None,
            until=datetime.combine(until, time.max, UTC) if until else None,
        )


@require_safe
@limited("api")
@members_only
def audit(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The page: what matches, the newest first; older ones `before` an id."""
    form = AuditForm(request.GET, label_suffix="")
    rows: list[Any] = []
    choice = exporting.Chosen()
    if form.is_valid():
        choice = form.chosen()
        entries = exporting.chosen(entries_seen_by(actor), choice)
        if form.cleaned_data["before"]:
            entries = entries.filter(pk__lt=form.cleaned_data["before"])
        rows = list(entries.order_by("-id")[: ROWS + 1])
    shown = rows[:ROWS]
    kept = {name: request.GET[name] for name in KEPT if request.GET.get(name)}
    files = _query(choice)
    context = {
        "form": form,
        "rows": [(entry, _in_words(exporting.detail_of(entry))) for entry in shown],
        "sees_all": actor.may("read", "audit"),
        "is_filtered": bool(kept),
        "newest": reverse("web:settings-audit") + (f"?{urlencode(kept)}" if kept else ""),
        "is_older": bool(request.GET.get("before")),
        "older": urlencode({**kept, "before": shown[-1].pk}) if len(rows) > ROWS else "",
        "files": [(name.upper(), reverse(f"audit-{name}") + files) for name in exporting.FORMATS],
        "checkpoint": Checkpoint.objects.filter(chain=chain_of(actor.organization))
        .order_by("-number")
        .first(),
    }
    return render(request, "web/settings/audit.html", context)


def _in_words(detail: dict[str, Any]) -> dict[str, str]:
    return {name.replace("_", " "): told(value) for name, value in detail.items()}


def _query(choice: exporting.Chosen) -> str:
    """The same choice, as the API takes it."""
    given = {
        "action": choice.action,
        "actor": choice.actor,
        "since": choice.since and choice.since.isoformat(),
        "until": choice.until and choice.until.isoformat(),
    }
    asked = {name: value for name, value in given.items() if value}
    return f"?{urlencode(asked)}" if asked else ""
