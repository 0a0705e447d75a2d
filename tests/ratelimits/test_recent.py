"""What is remembered of refusals, and for how long."""

import pytest

from apps.ratelimits.ledger import Answer, Ask, Source, Verdict
from apps.ratelimits.recent import KEPT_SECONDS, Refusals
from apps.ratelimits.windows import Window

pytestmark = pytest.mark.once
REFUSED = Answer(False, 0, (Verdict((), wait_ms=60_000),), source=Source.REDIS)


def asks(key: str) -> list[Ask]:
    return [Ask(key, (Window(1, 60),))]


def test_refusals_that_are_over_are_not_looked_through_for_ever():
    now = 100.0
    refusals = Refusals(lambda: now)
    for key in ("a", "b", "c"):
        refusals.note(asks(key), REFUSED, now)
    now += KEPT_SECONDS / 2
    refusals.note(asks("a"), REFUSED, now)
    now += KEPT_SECONDS * 0.6
    refusals.note(asks("d"), REFUSED, now)

    assert len(refusals) == 2
    assert refusals.find(asks("a")) is not None
    assert refusals.find(asks("b")) is None
