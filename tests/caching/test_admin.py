"""The cache in the admin: numbers, charts, ending values; to whom, and with Redis gone."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.audit.models import AuditEntry
from apps.caching.kinds import TABLE
from tests.caching.conftest import IN_MEMORY
from tests.caching.works import Work
from tests.operators import staff, superuser, told
from tests.servers import Valkey

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

PAGE = reverse("admin:caching_cachenow_changelist")
INVALIDATE = reverse("admin:caching_cachenow_invalidate")


@pytest.fixture
def operator(db: None) -> Client:
    return superuser()


def text_of(client: Client, url: str = PAGE, **query: str) -> str:
    """The page without its marks."""
    answer = client.get(url, query)
    assert answer.status_code == 200
    html = re.sub(r"<(svg|select|nav)\b.*?</\1>", " ", answer.content.decode(), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def rows_of(client: Client, **query: str) -> dict[str, Any]:
    return {row.kind: row for row in client.get(PAGE, query).context["rows"]}


def status(kept: Any, *arguments: object) -> str:
    return str(kept.outcome(*arguments).status)


@pytest.mark.parametrize("span", ["hour", "day", "odd"])
def test_the_numbers_are_those_of_a_hand_count(operator: Client, span: str) -> None:
    text, metrics = Work("v" * 3000, seconds=0.06).kept(), Work(1).kept("metrics")
    for argument in (1, 1, 1, 2):
        text(argument)
    metrics()
    rows = rows_of(operator, span=span)
    assert list(rows)[:2] == ["text", "metrics"]  # the biggest first
    assert set(rows) == set(TABLE)
    found = rows["text"]
    assert found.values == 2
    assert (found.hit, found.miss, found.stale, found.wait, found.error) == (2, 2, 0, 0, 0)
    assert (found.percent, found.saved_seconds >= 0.1) == (50, True)
    answer = operator.get(PAGE, {"span": span})
    html = answer.content.decode()
    assert "2 found, 2 computed." in html
    assert "1 computed." in html
    assert html.count('<svg class="chart"') == 2
    assert "style=" not in re.sub(r'"[^"]*stylesheet[^"]*"', "", html)
    drawn = {each.name: each.rows for each in answer.context["charts"]}
    total = [sum(column) for column in zip(*(cells for _, cells in drawn["text"]), strict=True)]
    assert total == [2, 0, 0, 2, 0]


@pytest.mark.parametrize(
    "named",
    [
        {"by": "tag", "name": "thing:1"},
        {"by": "kind", "name": "text"},
        {"by": "pattern", "name": "t*t"},
        {"by": "pattern", "name": "thing:*"},
        {"by": "all"},
    ],
)
def test_ending_is_asked_for_then_done_and_audited(operator: Client, named: dict[str, str]) -> None:
    kept, other = Work("v").kept(), Work("v").kept("metrics", tags=("other:1",))
    kept()
    other()
    assert "whoever asks next has it computed" in text_of(operator, INVALIDATE, **named)
    assert (status(kept), status(other)) == ("HIT", "HIT")  # looking does nothing
    answer = operator.post(INVALIDATE, named | {"reason": "wrong numbers"}, follow=True)
    assert told(answer)[0].startswith("Invalidated: ")
    assert status(kept) == "MISS"
    assert status(other) == ("MISS" if named["by"] == "all" else "HIT")
    entry = AuditEntry.objects.get()
    assert entry.action == ("cache.clear" if named["by"] == "all" else "cache.invalidate")
    assert (entry.actor_name, entry.reason) == ("root@example.com", "wrong numbers")


def test_softly_is_said_and_done(operator: Client) -> None:
    kept = Work("v").kept()
    kept()
    named = {"by": "kind", "name": "text", "soft": "on"}
    assert "served as it is until then" in text_of(operator, INVALIDATE, **named)
    operator.post(INVALIDATE, named)
    assert status(kept) == "STALE"


@pytest.mark.parametrize(
    "given",
    [{}, {"by": "odd"}, {"by": "tag"}, {"by": "tag", "name": "org"}, {"by": "kind", "name": "x"}],
)
def test_what_names_nothing_is_told(operator: Client, given: dict[str, str]) -> None:
    for answer in (
        operator.get(INVALIDATE, given, follow=True),
        operator.post(INVALIDATE, given, follow=True),
    ):
        assert answer.status_code == 200
        assert told(answer)[0].startswith("Nothing was invalidated")
    assert not AuditEntry.objects.exists()


def test_with_redis_gone_it_works_and_says_so(operator: Client, valkey: Valkey) -> None:
    valkey.kill()
    page = text_of(operator)
    assert "Redis is away: each process computes" in page
    assert "Nobody knows" in page
    answer = operator.post(INVALIDATE, {"by": "kind", "name": "text"}, follow=True)
    assert told(answer)[0].startswith("Nothing was invalidated. Redis is away")
    assert not AuditEntry.objects.exists()


def test_without_redis_and_off_it_says_so(operator: Client, settings: Any) -> None:
    settings.CACHES = {**settings.CACHES, "values": IN_MEMORY}
    assert "CACHE_REDIS_URL=memory" in text_of(operator)
    kept = Work("v").kept()
    kept()
    operator.post(INVALIDATE, {"by": "all"})
    assert status(kept) == "MISS"
    settings.ENABLE_CACHING = False
    assert "ENABLE_CACHING=false" in text_of(operator)


@pytest.mark.parametrize(
    ("permissions", "sees", "changes"),
    [((), False, False), (("view_cachenow",), True, False), (("change_cachenow",), True, True)],
)
def test_each_needs_its_permission(permissions: tuple[str, ...], sees: bool, changes: bool) -> None:
    client = staff(*permissions)
    kept = Work("v").kept()
    kept()
    answer = client.get(PAGE)
    assert (answer.status_code == 200) == sees
    assert (INVALIDATE.encode() in answer.content) == changes
    status_code = client.post(INVALIDATE, {"by": "all"}).status_code
    assert (status_code == 302) == changes
    assert status(kept) == ("MISS" if changes else "HIT")
