"""What templates draw: icons, states, moments, progress bars."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.template import Context, Template
from django.utils import timezone

from apps.accounts.models import Organization
from apps.jobs.live import Live, live_of
from apps.web.templatetags.web import segments
from apps.web.words import STATE_WORDS
from tests.batches import submit

COUNTS = dict.fromkeys(("succeeded", "failed", "quarantined", "rejected", "cancelled"), 0)


def drawn(text: str, **known: object) -> str:
    return Template("{% load web %}" + text).render(Context(known))


@pytest.mark.once
@pytest.mark.parametrize("name", STATE_WORDS)
def test_a_state_is_a_word_with_a_symbol_that_exists(name: str) -> None:
    label, symbol = STATE_WORDS[name]
    html = drawn("{% state name %}", name=name)
    assert html.startswith(f'<span class="state" data-state="{name}"><svg')
    assert html.endswith(f"{label}</span>")
    symbols = Path(settings.BASE_DIR, "static/web/icons.svg").read_text()
    assert f'id="{symbol}"' in symbols


@pytest.mark.once
def test_every_symbol_that_a_template_asks_for_exists() -> None:
    symbols = Path(settings.BASE_DIR, "static/web/icons.svg").read_text()
    for template in Path(settings.BASE_DIR, "templates").rglob("*.html"):
        for name in re.findall(r'{% icon "(\w+)" %}', template.read_text()):
            assert f'id="{name}"' in symbols, (template, name)


@pytest.mark.once
def test_a_moment_has_its_exact_time_beside_it() -> None:
    assert drawn("{% moment when %}", when=None) == '<span class="faint">not yet</span>'
    when = datetime(2026, 3, 1, 14, 5, 9, tzinfo=UTC)
    html = drawn("{% moment when %}", when=when)
    assert 'datetime="2026-03-01T14:05:09+00:00"' in html
    assert 'title="1 Mar 2026, 14:05:09 UTC"' in html
    assert ">just now<" in drawn("{% moment when %}", when=timezone.now())
    assert ">2 h ago<" in drawn("{% moment when %}", when=timezone.now() - timedelta(hours=2.5))


@pytest.mark.once
def test_spans_and_counts_in_templates() -> None:
    assert drawn("{{ n|duration }}", n=125) == "2 min 5 s"
    assert drawn("{{ n|counted }}", n={"failed": 2}) == "2 failed"


@pytest.mark.once
@pytest.mark.parametrize(
    ("total", "counts", "progress", "parts"),
    [
        (0, {}, 0.0, []),
        (4, {}, 0.0, []),
        (4, {"succeeded": 1, "failed": 1}, 0.6, [("succeeded", 0, 25), ("failed", 25, 25)]),
        (3, {"succeeded": 1}, 0.3333, [("succeeded", 0, 33.33)]),
        (2, {"cancelled": 2}, 1.0, [("cancelled", 0, 100)]),
    ],
)
def test_a_bar_has_its_parts_side_by_side(
    total: int,
    counts: dict[str, int],
    progress: float,
    parts: list[tuple[str, float, float]],
) -> None:
    found = segments(Live(COUNTS | {"total": total} | counts, progress, None))
    assert [part for part in found if part[0] != "running"] == parts
    running = [part for part in found if part[0] == "running"]
    assert running == ([("running", 50, 10)] if progress == 0.6 else [])


def test_a_bar_is_read_out(acme: Organization) -> None:
    job = submit(acme, "one", "two")
    html = drawn("{% bar live title %}", title="A & B", live=live_of([job])[job.pk])
    assert 'role="progressbar"' in html
    assert 'aria-valuenow="0"' in html
    assert 'aria-label="Progress of A &amp; B"' in html
    assert "style=" not in html
    half = Live(COUNTS | {"total": 2, "succeeded": 1}, 0.5, None)
    html = drawn("{% bar live '' %}", live=half)
    assert '<rect class="is-succeeded" x="0.00" width="50.00" height="1">' in html
