"""Decisions that were made without Redis, for its statistics: they go along with the next call."""

from collections.abc import Sequence

from apps.core import tally
from apps.ratelimits.ledger import Answer, Ask, Source


class Tally(tally.Tally):
    """By `limiter:outcome`."""

    def note(self, asks: Sequence[Ask], answer: Answer, minute: int) -> None:
        """Counts the outcome of each ask in `minute` (Unix time / 60)."""
        fields = [
            f"{ask.tally}:{outcome}"
            for ask, verdict in zip(asks, answer.verdicts, strict=True)
            if ask.tally and (outcome := outcome_of(ask, verdict.wait_ms, answer))
        ]
        if answer.source is not Source.REDIS:
            fields += [f"{ask.tally}:standby" for ask in asks if ask.tally]
        self.count(fields, minute)


def outcome_of(ask: Ask, wait_ms: int, answer: Answer) -> str:
    """As `scripts/decide.lua` counts it; "" for who had room but went with one that had not, and
    for a shadow, which stands beside what is counted."""
    if wait_ms:
        return "shadow" if ask.shadow else "refused"
    return "allowed" if answer.allowed and not ask.shadow else ""
