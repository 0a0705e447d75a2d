"""Recurring work in the admin: when it ran last, when it runs next, and having it run now."""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from datetime import datetime, timedelta

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from apps.accounts.models import User
from apps.core.admin import span, state_of
from apps.core.admin_actions import ServiceAction, ServiceAdmin
from apps.queue.models import PeriodicRun
from apps.queue.schedule import ask_to_run

OVERDUE_AFTER = timedelta(seconds=30)
"""What has not begun this long after it was due: no beat runs, or it is stuck."""


def _run_now(user: User, run: PeriodicRun) -> None:
    ask_to_run(run, actor=user)


@admin.register(PeriodicRun)
class PeriodicRunAdmin(ServiceAdmin):
    """Rows are made by beat; those that the settings do not have any more are left out."""

    list_display = (
        "label",
        "does",
        "state_shown",
        "every",
        "started_at",
        "took",
        "next_run",
        "error",
    )
    fields = ("name", *list_display, "runs", "requested_at")
    ordering = ("name",)
    sortable_by = ()
    service_actions = (
        ServiceAction(
            name="run_now",
            label="Run now",
            done="Asked for",
            effect="Beat runs these within a second or two, in its own process, whether or not "
            "they are due. What runs already runs once more when it has ended.",
            permission="queue.change_periodicrun",
            perform=_run_now,
            fits=lambda run: run.requested_at is None,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        known: QuerySet = PeriodicRun.objects.scheduled()
        return known.order_by(*self.ordering)

    @admin.display(description="schedule")
    def label(self, run: PeriodicRun) -> str:
        return run.recurring.label

    @admin.display(description="what it does")
    def does(self, run: PeriodicRun) -> str:
        return run.recurring.does

    @admin.display(description="state")
    def state_shown(self, run: PeriodicRun) -> SafeString:
        return state_of(state(run))

    @admin.display(description="every")
    def every(self, run: PeriodicRun) -> str:
        return in_words(run.recurring.every)

    @admin.display(description="took")
    def took(self, run: PeriodicRun) -> str:
        return span(run.started_at, run.finished_at)

    @admin.display(description="next run")
    def next_run(self, run: PeriodicRun) -> datetime | str:
        if run.next_at is None or run.is_due(run.now):
            return "at once"
        return run.next_at


def state(run: PeriodicRun) -> str:
    """In a word: what it is at, or how it ended last."""
    if run.is_running(run.now):
        return "running"
    if run.started_at is None:
        return "never_run"
    if run.was_cut_short(run.now):
        return "cut_short"
    due_since = run.now - (run.requested_at or run.started_at + run.recurring.every)
    if due_since > OVERDUE_AFTER:
        return "overdue"
    return "failed" if run.error else "succeeded"


def in_words(span: timedelta) -> str:
    """ "10 minutes", "1 day": in the largest unit that fits evenly."""
    seconds = span.total_seconds()
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            return _counted(seconds / size, unit)
    return _counted(seconds, "second")


def _counted(number: float, noun: str) -> str:
    return f"{number:g} {noun}{'' if number == 1 else 's'}"
