"""What a limit means, in the plainest words that compute: all hits in a list, counted each time."""

from collections import defaultdict
from collections.abc import Sequence

from apps.ratelimits.ledger import Ask, Verdict
from apps.ratelimits.log import Use


class Oracle:
    """Exact and slow."""

    def __init__(self) -> None:
        self.hits: dict[str, list[int]] = defaultdict(list)

    def decide(self, asks: Sequence[Ask], now: int, *, hit: bool) -> tuple[bool, list[Verdict]]:
        seen = {ask.key: self._none_later(ask.key, now) for ask in asks}
        waits = [self._wait(ask, seen[ask.key], now) for ask in asks]
        allowed = not any(wait and not ask.shadow for ask, wait in zip(asks, waits, strict=True))
        verdicts = []
        for ask, wait in zip(asks, waits, strict=True):
            recorded = hit and allowed and not wait
            before = seen[ask.key]
            after = before + [now] * ask.cost if recorded else before
            uses = [
                self._use(ask, i, after, now, recorded=recorded) for i in range(len(ask.windows))
            ]
            verdicts.append(Verdict(tuple(uses), wait))
            if recorded:  # what has left every window by now has left for good
                longest = max(window.seconds for window in ask.windows)
                after = [at for at in after if at > now - longest * 1000]
            if hit:
                self.hits[ask.key] = after
        return allowed, verdicts

    def refund(self, asks: Sequence[Ask], at: int) -> None:
        for ask in asks:
            for _ in range(ask.cost):
                if at in self.hits[ask.key]:
                    self.hits[ask.key].remove(at)

    def _none_later(self, key: str, now: int) -> list[int]:
        hits = self.hits[key]
        ahead = max(0, hits[-1] - now) if hits else 0
        return [hit - ahead for hit in hits]

    def _wait(self, ask: Ask, hits: list[int], now: int) -> int:
        """The first moment at which every window has room, found by looking at each at which one
        more hit has left."""
        longest = 0
        for limit, seconds in ask.windows:
            if ask.cost > limit:
                longest = max(longest, seconds * 1000)
                continue
            moments = [now, *(hit + seconds * 1000 for hit in hits if hit + seconds * 1000 > now)]
            free = next(m for m in sorted(moments) if count(hits, m, seconds) + ask.cost <= limit)
            longest = max(longest, free - now)
        return longest

    def _use(self, ask: Ask, index: int, hits: list[int], now: int, *, recorded: bool) -> Use:
        seconds = ask.windows[index].seconds
        counted = [hit for hit in hits if hit > now - seconds * 1000]
        wait = 0
        if not recorded:
            one = Ask(ask.key, (ask.windows[index],), ask.cost)
            wait = self._wait(one, hits, now)
        oldest = counted[0] + seconds * 1000 - now if counted else 0
        return Use(len(counted), wait or oldest)


def count(hits: Sequence[int], now: int, seconds: int) -> int:
    """Hits in the `seconds` before and at `now`."""
    return sum(1 for hit in hits if now - seconds * 1000 < hit <= now)


def most_in_any(hits: Sequence[int], seconds: int) -> int:
    """The most hits that lie in any window of `seconds`: one that ends with a hit."""
    return max((count(hits, hit, seconds) for hit in set(hits)), default=0)
