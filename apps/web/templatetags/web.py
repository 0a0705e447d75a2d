"""What several templates draw: icons, states, progress bars, moments."""

from datetime import datetime
from functools import cache
from typing import Any

from django import template
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.jobs.live import Live
from apps.web import words

register = template.Library()

SEGMENTS = ("succeeded", "failed", "quarantined", "rejected", "cancelled")
"""The parts of a job's bar from the left; what runs is drawn after them."""


@register.simple_tag
@cache
def icon(name: str) -> SafeString:
    """A symbol of `web/icons.svg`; it only repeats what the text beside it says."""
    source = static("web/icons.svg")
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', source, name
    )


@register.simple_tag
@cache
def state(name: str) -> SafeString:
    """A state as a coloured word with a symbol."""
    label, symbol = words.STATE_WORDS.get(name) or words.WEBHOOK_WORDS[name]
    return format_html('<span class="state" data-state="{}">{}{}</span>', name, icon(symbol), label)


@receiver(setting_changed)
def _forget(*, setting: str, **_: object) -> None:
    if setting in ("STATIC_URL", "STORAGES"):
        icon.cache_clear()
        state.cache_clear()


@register.simple_tag
def moment(when: datetime | None) -> SafeString:
    """How long ago `when` was, kept right by the page's script; the exact time in a tooltip."""
    if when is None:
        return format_html('<span class="faint">{}</span>', "not yet")
    age = (timezone.now() - when).total_seconds()
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        when.isoformat(),
        words.exactly(when),
        words.ago(age),
    )


@register.inclusion_tag("web/_bar.html")
def bar(live: Live, title: str) -> dict[str, Any]:
    """The job's progress bar: ended files by state, then what is done of the others."""
    return {"title": title, "live": live, "segments": segments(live)}


def segments(live: Live) -> list[tuple[str, float, float]]:
    """(state, start, width) in per cent of the bar; nothing of no width."""
    found: list[tuple[str, float, float]] = []
    start = 0.0
    total = max(live.counts["total"], 1)
    for name in SEGMENTS:
        width = 100 * live.counts[name] / total
        if width:
            found.append((name, round(start, 2), round(width, 2)))
        start += width
    if (rest := 100 * live.progress - start) > 0.005:
        found.append(("running", round(start, 2), round(rest, 2)))
    return found


@register.filter
def duration(seconds: float | None) -> str:
    return words.duration(seconds)


@register.filter
def operation(name: str) -> str:
    return words.operation(name)


@register.filter
def counted(counts: dict[str, int]) -> str:
    return words.outcome(counts)
