"""Counts in the admin: find somebody and see every count, let it begin anew; who is refused now,
who was noticed, and what the limits did over time."""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.core.admin import ReadOnly
from apps.core.errors import InvalidInput, Unavailable
from apps.core.spans import SPANS
from apps.ratelimits import inspection
from apps.ratelimits.abuse import REFUSALS
from apps.ratelimits.admin.charts import OUTCOMES, charts
from apps.ratelimits.limiters import TABLE
from apps.ratelimits.models import REASON_MAX_LENGTH, LimitsNow, Offender
from apps.ratelimits.stores import store
from apps.ratelimits.whom import HELP, Whom, find

COUNTS = "admin:ratelimits_limitsnow_changelist"
RESET, SEE_RULES = "ratelimits.change_limitsnow", "ratelimits.view_ratelimitrule"
ADD_RULE = "ratelimits.add_ratelimitrule"
OFFENDERS_SHOWN = 50


class ResetForm(forms.Form):
    """Whose counts begin anew, of which limiter ("": of all), and why."""

    who = forms.CharField(max_length=254, widget=forms.HiddenInput)
    limiter = forms.ChoiceField(
        required=False, choices=[("", ""), *((n, n) for n in TABLE)], widget=forms.HiddenInput
    )
    reason = forms.CharField(
        required=False,
        max_length=REASON_MAX_LENGTH,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="Kept in the audit log, with your name.",
    )


@admin.register(LimitsNow)
class CountsAdmin(ReadOnly):
    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.changelist_view), name="ratelimits_limitsnow_changelist"),
            path("reset/", wrap(self.reset_view), name="ratelimits_limitsnow_reset"),
        ]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(RESET))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        user = cast(User, request.user)
        context = {
            **self.admin_site.each_context(request),
            "title": "Counts",
            "opts": self.opts,
            "now": timezone.now(),
            "may_reset": user.has_perm(RESET),
            "may_rule": user.has_perm(ADD_RULE),
            "sees_rules": user.has_perm(SEE_RULES),
            "is_off": inspection.is_off(),
            "has_redis": store().redis is not None,
            **_found(request.GET.get("who", "").strip()),
            **_refused(),
            **_over_time(request.GET.get("span", "day")),
        }
        return TemplateResponse(request, "admin/ratelimits/counts.html", context)

    def reset_view(self, request: HttpRequest) -> HttpResponse:
        """Asks whether to, then lets the counts begin anew."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        given = request.POST if request.method == "POST" else request.GET
        form = ResetForm(data=given, label_suffix="")
        try:
            if not form.is_valid():
                raise InvalidInput("There is no such limiter.")
            data = form.cleaned_data
            whom = find(data["who"])
        except InvalidInput as error:
            messages.error(request, str(error))
            return redirect(COUNTS)
        if request.method == "POST":
            _reset(request, whom, data["limiter"], data["reason"])
            return redirect(reverse(COUNTS, query={"who": data["who"]}))
        context = {
            **self.admin_site.each_context(request),
            "title": "Reset",
            "opts": self.opts,
            "form": form,
            "whom": whom,
            "limiter": data["limiter"],
            "who": data["who"],
            "is_away": inspection.refused_now() is None,
            "has_redis": store().redis is not None,
        }
        return TemplateResponse(request, "admin/ratelimits/reset.html", context)


def _reset(request: HttpRequest, whom: Whom, name: str, reason: str) -> None:
    """Does it, and tells what came of it."""
    by = cast(User, request.user)
    try:
        done = inspection.reset(by=by, whom=whom, name=name, reason=reason)
    except Unavailable as error:
        messages.error(request, f"Nothing was reset. {error}")
        return
    told = ", ".join(done) or "nothing, for none of it counts them"
    messages.success(request, f"Begun anew for {whom.name}: {told}.")


def _found(who: str) -> dict[str, Any]:
    """What is counted of who was typed, and the rules about them."""
    told: dict[str, Any] = {"who": who, "help": HELP}
    if not who:
        return told
    try:
        whom = find(who)
    except InvalidInput as error:
        return told | {"problem": str(error)}
    rules = inspection.rules_about(whom)
    return told | {
        "whom": whom,
        "counts": inspection.counts_of(whom),
        "rules": [{"rule": rule, "state": rule.state(timezone.now())} for rule in rules],
        "is_hidden": _is_hidden(whom),
    }


def _is_hidden(whom: Whom) -> str:
    """Why there are counts that are not shown."""
    if "user" in whom.target:
        return (
            "Requests with one of their keys are counted for that key, and what their open pages "
            "ask for (live) by session: find the key by its id. Their rules hold for both. Failed "
            "sign-ins from a browser in which they signed in before are counted apart."
        )
    if not whom.subjects:
        return "Each address of a network is counted by itself: find one of them."
    return ""


def _refused() -> dict[str, Any]:
    offenders = Offender.objects.select_related("user").order_by("-last_at")
    return {
        "blocks": inspection.blocks_now(),
        "refused": inspection.refused_now(),
        "offenders": list(offenders[:OFFENDERS_SHOWN]),
        "refusals": REFUSALS,
    }


def _over_time(span: str) -> dict[str, Any]:
    key = span if span in SPANS else "day"
    return {"span": key, "spans": SPANS, "outcomes": OUTCOMES, "charts": charts(key)}
