"""The board of the queue: what waits, what runs where, what is paused, and what ended when."""

# Django's admin classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from datetime import datetime
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.utils import model_ngettext
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from apps.accounts.models import User
from apps.core.admin import ReadOnly, link_to, link_to_list, span
from apps.queue.admin.charts import GROUPS, spans
from apps.queue.admin.pauses import PERMISSION, in_words, pause_view, resume_view
from apps.queue.board import (
    HELD,
    RETRYING,
    RUNNING,
    WAITING,
    LaneOnBoard,
    QueueNow,
    Run,
    is_late,
    is_silent,
    read_board,
)
from apps.queue.models import Board, WorkerNode
from apps.queue.states import State

COLUMNS: dict[str, dict[str, object]] = {
    RUNNING: {"state": State.RUNNING},
    WAITING: {"state": State.QUEUED, "is_held": False},
    RETRYING: {"state": State.RETRY_WAIT, "is_held": False},
    HELD: {"is_held": True},
}
"""What is counted -> the filters that show it, besides `lane`: the list of each handler's rows has
them all."""


@admin.register(Board)
class BoardAdmin(ReadOnly):
    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.changelist_view), name="queue_board_changelist"),
            path("pause/", wrap(pause_view), name="queue_board_pause"),
            path("resume/<int:pk>/", wrap(resume_view), name="queue_board_resume"),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = self.admin_site.each_context(request) | _shown(cast(User, request.user))
        return TemplateResponse(request, "admin/queue/board.html", context)


def _shown(user: User) -> dict[str, Any]:
    """What the template draws: rows of cells, words and links."""
    board, now = read_board(), timezone.now()
    return {
        "title": "Board",
        "now": now,
        "opts": Board._meta,
        "may_pause": user.has_perm(PERMISSION),
        "columns": [*COLUMNS],
        "lanes": [_lane(user, lane, now) for lane in board.lanes],
        "pauses": [{"pause": pause, "what": in_words(pause)} for pause in board.pauses],
        "workers": [_worker(user, worker, board) for worker in board.workers],
        "elsewhere": [_run(user, run, now) for run in board.elsewhere],
        "swept": board.swept,
        "is_late": is_late(board.swept),
        "groups": GROUPS,
        "spans": spans(),
    }


def _lane(user: User, lane: LaneOnBoard, now: datetime) -> dict[str, Any]:
    is_waiting = lane.waits_since is not None and lane.waits_since < now
    return {
        "name": lane.name,
        "limit": lane.limit,
        "limit_per_organization": lane.limit_per_organization,
        "limits_url": _limits_url(user, lane),
        "pauses": lane.pauses,
        "cells": [_cell(user, lane, what) for what in COLUMNS],
        "waits": span(lane.waits_since, now) if is_waiting else "-",
        "is_idle": not any(lane.total(what) for what in COLUMNS),
    }


def _cell(user: User, lane: LaneOnBoard, what: str) -> SafeString | str:
    """How many, as a link to the list of them; by handler, where there are several."""
    counts, links = lane.counts[what], []
    for handler, count in counts.items():
        text = f"{count:,}"
        if len(counts) > 1:
            text += f" {model_ngettext(handler.model._meta, count)}"
        links.append((_list_of(user, handler.model, text, lane=lane.name, **COLUMNS[what]),))
    return format_html_join(" + ", "{}", links) if links else "0"


def _list_of(user: User, model: type[Model], text: str, **filters: object) -> str:
    return link_to_list(model, text, **filters) if _sees(user, model) else text


def _sees(user: User, model: type[Model]) -> bool:
    """Whether the admin has pages of `model`, and shows them to `user`."""
    opts = model._meta
    is_there = admin.site.is_registered(model)
    return is_there and user.has_perm(f"{opts.app_label}.view_{opts.model_name}")


def _limits_url(user: User, lane: LaneOnBoard) -> str:
    """Where the limits of `lane` are changed; empty for who may not."""
    if lane.has_limits:
        may = user.has_perm("queue.change_lane")
        return reverse("admin:queue_lane_change", args=[lane.name]) if may else ""
    may = user.has_perm("queue.add_lane")
    return reverse("admin:queue_lane_add", query={"name": lane.name}) if may else ""


def _worker(user: User, worker: WorkerNode, board: QueueNow) -> dict[str, Any]:
    return {
        "worker": worker,
        "link": link_to(worker) if _sees(user, WorkerNode) else str(worker),
        "is_silent": is_silent(worker),
        "seen": span(worker.seen_at, worker.now),
        "lanes": ", ".join(worker.lanes),
        "runs": [_run(user, run, worker.now) for run in board.runs.get(worker.pk, [])],
    }


def _run(user: User, run: Run, now: datetime) -> dict[str, Any]:
    """Whose names are seen is a matter of the list they are in."""
    row = run.row
    return {
        "name": link_to(row) if _sees(user, run.handler.model) else str(row.pk),
        "lane": row.lane,
        "at": f"{row.stage or 'started'}, {row.progress:.0%}",
        "since": span(run.since, now),
    }
