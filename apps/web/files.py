"""The page of one file: its text by page, what it is, and every attempt at it."""

import re
from typing import Any
from uuid import UUID

from django.conf import settings
from django.conf.locale import LANG_INFO
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.views.decorators.http import require_safe
from django_htmx.http import reselect, reswap, retarget

from apps.accounts.actor import Actor
from apps.jobs import storage
from apps.jobs.models import BatchFile
from apps.jobs.naming import job_title
from apps.jobs.previews import are_drawn
from apps.jobs.reading import file_of
from apps.jobs.states import CLOSED, DUPLICATE
from apps.processors.kinds import KINDS
from apps.queue.states import READY, UNFINISHED, State
from apps.ratelimits.decorators import limited
from apps.web.access import members_only
from apps.web.advice import soon, trouble_of
from apps.web.attempts import attempts_of
from apps.web.file_text import Absent, Excerpt, excerpt
from apps.web.holds import Hold, holds_of_file, shown_state
from apps.web.questions import pause_file_question
from apps.web.words import STATE_WORDS

PLAIN = frozenset({"txt", "csv", "eml", "md", "json", "xml"})
"""Kinds whose lines are shown as they stand."""
UNITS = {
    "pdf": "page",
    "pptx": "slide",
    "odp": "slide",
    "ppt": "slide",
    "epub": "chapter",
    "tiff": "frame",
    "gif": "frame",
    **{kind.name: "sheet" for kind in KINDS.values() if kind.family == "sheet"},
    **{kind.name: "part" for kind in KINDS.values() if kind.family == "mail"},
}
"""What the pages of a kind are called; of the others, whose pages only we count, just pages."""
MAX_MEMBERS = 200
A4 = (210, 297)
FIRST_METADATA = ("title", "subject", "author", "from", "to", "cc", "date")
MOMENTS = frozenset({"created_at", "modified_at"})
OTHER_LANGUAGES = {"la": "Latin", "zh": "Chinese", "zxx": "none"}
"""Names of languages that are recognized and that Django has no name for."""


@require_safe
@limited("api", fragments="live")
@members_only
def file(request: HttpRequest, actor: Actor, file_id: UUID) -> HttpResponse:
    """The page; `?page=` chooses the page of the document that is shown."""
    return _page(request, actor, file_of(actor, file_id))


def _page(request: HttpRequest, actor: Actor, file: BatchFile, *, told: str = "") -> HttpResponse:
    """The page, which `told` what has just come of the file."""
    text = _text(file, request.GET.get("page", ""))
    has_original = file.content is not None and storage.is_there(file.content)
    may_retry, why_not = _retry(actor, file)
    context = _live(actor, file) | {
        **_around(file),
        "result": getattr(file, "result", None),
        "text": text,
        "has_text": isinstance(text, Excerpt) or (text is not None and text.is_stored),
        "has_original": has_original,
        "has_picture": has_original and isinstance(text, Excerpt) and are_drawn(file),
        "picture_size": _picture_size(file),
        "may_retry": may_retry,
        "may_requeue": _may_requeue(actor, file),
        "why_no_retry": why_not,
        "took": _took(file),
        "metadata": _metadata(file),
        "language": _language(file),
        "unit": UNITS.get(file.kind, "page"),
        "has_pages": file.kind in UNITS and _family(file) != "mail",
        "is_sheet": _family(file) == "sheet" or file.kind == "csv",
        "is_container": _family(file) == "archive",
        **_members(file),
        "is_plain": file.kind in PLAIN,
        "told": told,
        "question": pause_file_question(file) if _may_be_held(actor, file) else None,
    }
    return render(request, "web/file.html", context)


@require_safe
@limited("live")
@members_only
def live(request: HttpRequest, actor: Actor, file_id: UUID) -> HttpResponse:
    """What moves while the file waits or runs; 204 when it is as the page has `seen` it.

    Once the file has ended all of the page is swapped: reloaded, it would lose the focus.
    """
    file = file_of(actor, file_id)
    if file.state not in UNFINISHED:
        ended = _page(request, actor, file, told=STATE_WORDS[file.state][0])
        whole = reswap(ended, "outerHTML")
        return retarget(reselect(whole, "#file-page"), "#file-page")
    seen, now = request.GET.get("seen", ""), _live(actor, file)
    if seen == now["token"]:
        return HttpResponse(status=204)
    has_news = seen.partition("~")[0] != now["state"]  # progress alone is not read out
    told = now["state_label"] if has_news else ""
    return render(request, "web/_file_news.html", now | {"told": told})


def _live(actor: Actor, file: BatchFile) -> dict[str, Any]:
    """What changes by itself until the file has ended."""
    holds = holds_of_file(file)
    state = shown_state(file, is_held=bool(holds))
    return {
        "file": file,
        "state": state,
        "state_label": STATE_WORDS[state][0],
        "is_moving": file.state in UNFINISHED,
        "holds": holds,
        "soon": soon(file.available_at),
        "percent": int(file.progress * 100),
        "trouble": trouble_of(file, is_paused=bool(holds)),
        "attempts": attempts_of(actor, file),
        "token": _token(file, state, holds),
        **_control(actor, file),
    }


def _control(actor: Actor, file: BatchFile) -> dict[str, bool]:
    """What may be done to it until it has ended. One that waits for its like is held until that
    has ended, whoever resumes it."""
    may_update = _may_be_held(actor, file)
    may_hold = may_update and file.state in READY and file.waits_for_id is None
    return {
        "may_pause": may_hold and not file.is_held,
        "may_resume": may_hold and file.is_held,
        "may_cancel": may_update and not file.cancel_requested,
    }


def _may_be_held(actor: Actor, file: BatchFile) -> bool:
    """Whether the actor may hold or stop it now, or may come to while the page is open."""
    may_update = actor.may("update", "jobs", created_by_id=file.job.created_by_id)
    return may_update and file.state in UNFINISHED


def _token(file: BatchFile, state: str, holds: list[Hold]) -> str:
    """All that `_live` shows of an unfinished file, in short."""
    shown = (state, file.attempts, int(file.progress * 100), file.stage, soon(file.available_at))
    return "~".join(map(str, (*shown, file.waits_for_id, len(holds))))


def _around(file: BatchFile) -> dict[str, Any]:
    """The files `before` and `after` this one, where there are any, and what its job is called."""
    wanted = (1, file.position - 1, file.position + 1)
    files = BatchFile.objects.filter(job_id=file.job_id, position__in=wanted)
    found = {each.position: each for each in files.only("id", "position", "name")}
    return {
        "before": found.get(file.position - 1),
        "after": found.get(file.position + 1),
        "job_title": job_title(file.job.name, found.get(1, file).name, file.job.total),
    }


def _family(file: BatchFile) -> str:
    """Of its kind; "" for what was rejected before that was known."""
    return KINDS[file.kind].family if file.kind in KINDS else ""


def _picture_size(file: BatchFile) -> tuple[int, int]:
    """Roughly the shape of a page's picture, in any unit: room is kept for it until it is there."""
    known = file.result.metadata if hasattr(file, "result") else {}
    width, height = (str(known.get(side, "")) for side in ("width", "height"))
    are_numbers = re.fullmatch(r"[1-9]\d{0,5} [1-9]\d{0,5}", f"{width} {height}")
    return (int(width), int(height)) if are_numbers else A4


def _members(file: BatchFile) -> dict[str, Any]:
    """The first of the documents found inside, how many more, and whether any is unfinished."""
    shown = ("id", "parent", "position", "name", "kind", "state", "size_bytes", "error_detail")
    first = list(file.members.order_by("position").only(*shown)[: MAX_MEMBERS + 1])
    count, moving = len(first), any(member.state in UNFINISHED for member in first)
    if count > MAX_MEMBERS:
        count = file.members.count()
        moving = file.members.filter(state__in=UNFINISHED).exists()
    return {
        "members": first[:MAX_MEMBERS],
        "member_count": count,
        "more_members": max(0, count - MAX_MEMBERS),
        "members_move": moving,
    }


def _retry(actor: Actor, file: BatchFile) -> tuple[bool, str]:
    """Whether to offer another run, and if not, why, where that is worth saying."""
    job = file.job
    if file.state not in (State.FAILED, State.CANCELLED, State.QUARANTINED):
        return False, ""
    if not actor.may("update", "jobs", created_by_id=job.created_by_id):
        return False, ""
    if file.state == State.QUARANTINED and not actor.may("update", "jobs"):
        return False, "Quarantined: an owner or admin of the organization can run it again."
    if job.state not in CLOSED:
        return False, "It can be run again once its job has finished."
    return bool(settings.ENABLE_BATCH), ""  # while that is off, the page says so


def _may_requeue(actor: Actor, file: BatchFile) -> bool:
    """Whether to offer to read again what was read well. What an archive or mail brought along is
    there already, so those are not opened again."""
    was_read = file.state in (State.SUCCEEDED, DUPLICATE) and file.job.state in CLOSED
    if (
        not settings.ENABLE_BATCH
        or not was_read
        or not actor.may("update", "jobs", created_by_id=file.job.created_by_id)
    ):
        return False
    return not file.members.exists()


def _text(file: BatchFile, asked: str) -> Excerpt | Absent | None:
    return excerpt(file.result, asked) if hasattr(file, "result") else None


def _took(file: BatchFile) -> float | None:
    """Seconds from the first start of this run to its end."""
    if file.started_at is None or file.finished_at is None:
        return None
    return (file.finished_at - file.started_at).total_seconds()


def _metadata(file: BatchFile) -> list[tuple[str, str]]:
    """What the document says of itself: (label, value), who and what it is first."""
    found = file.result.metadata if hasattr(file, "result") else {}
    known = [key for key in FIRST_METADATA if key in found]
    keys = known + sorted(found.keys() - set(known))
    return [(key.replace("_", " ").capitalize(), as_told(key, found[key])) for key in keys]


def as_told(key: str, value: str) -> str:
    """Moments as the rest of the page has them; what is no whole date stays as it was written."""
    if key not in MOMENTS:
        return value
    try:
        if day := parse_date(value):
            return date_format(day, "j M Y")
        moment = parse_datetime(value)
        if moment and moment.tzinfo:
            return date_format(localtime(moment), "j M Y, H:i e")
    except (ValueError, OverflowError):  # 31 February; the year 1, east of here
        return value
    return date_format(moment, "j M Y, H:i") if moment else value


def _language(file: BatchFile) -> str:
    """The name of the language, or its code where there is none."""
    code = file.result.language if hasattr(file, "result") else ""
    name: str = LANG_INFO.get(code, {}).get("name", OTHER_LANGUAGES.get(code, code))
    return name
