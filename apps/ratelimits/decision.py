"""What came of a check, and how an answer tells of it: pure.

Headers: the older X-RateLimit-* of the window with the smallest share left, and the two structured
fields of the IETF's draft-ietf-httpapi-ratelimit-headers (lists of quoted names, drafts 08 to 11)
with every window.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from apps.ratelimits.windows import Window


class Standing(NamedTuple):
    """A window after the decision: hits used, and milliseconds until more is free (one hit; where
    it refuses, what was asked for)."""

    window: Window
    used: int
    reset_ms: int

    @property
    def remaining(self) -> int:
        return max(0, self.window.limit - self.used)

    @property
    def share_left(self) -> float:
        return self.remaining / self.window.limit

    @property
    def reset_seconds(self) -> int:
        """Rounded up: not a moment too early."""
        return whole_seconds(self.reset_ms)


class Part(NamedTuple):
    """One limiter for one subject. `kind` is the subject's, in a word; `key` is the store's.

    `wait_ms` is how long until it has room, 0 if it had. A `shadow` part refuses nobody.
    """

    limiter: str
    kind: str
    key: str
    windows: tuple[Standing, ...]
    cost: int = 1
    wait_ms: int = 0
    shadow: bool = False

    @property
    def is_refusing(self) -> bool:
        return self.wait_ms > 0 and not self.shadow

    @property
    def had_room(self) -> bool:
        return self.wait_ms == 0


class Decision(NamedTuple):
    """Whether it may go on. All parts had room and counted it, or none counted anything.

    No parts: nothing is limited. `at_ms` are Unix milliseconds of the store's clock, and `source`
    says which that is: `redis`; while it is away `memory` or `sql`; `nowhere` for what is refused
    because it is away. `is_counted` is true when what was asked for is counted.
    """

    allowed: bool
    parts: tuple[Part, ...] = ()
    at_ms: int = 0
    source: str = ""
    is_counted: bool = False

    @property
    def is_away(self) -> bool:
        """Whether nothing could be counted, and so it was refused."""
        return self.source == "nowhere"

    @property
    def limiter(self) -> str:
        """The limiter that refuses for the longest, else that with the smallest share left; "" when
        nothing is limited."""
        part = self._binding_part()
        return part.limiter if part else ""

    @property
    def retry_after(self) -> int:
        """Whole seconds after which the same would be allowed, if nothing else is counted until
        then; 0 when it was allowed now."""
        if self.allowed:
            return 0
        waits = [part.wait_ms for part in self.parts if part.is_refusing]
        return max(1, whole_seconds(max(waits, default=0)))

    @property
    def binding(self) -> Standing | None:
        """The window that X-RateLimit-* tell of; None when nothing is limited."""
        part = self._binding_part()
        if part is None or not part.windows:
            return None
        return _tightest(part, refused=not self.allowed)

    def _binding_part(self) -> Part | None:
        refusing = [part for part in self.parts if part.is_refusing]
        if not self.allowed and refusing:
            return max(refusing, key=lambda part: part.wait_ms)
        shown = [part for part in self.parts if part.windows and not part.shadow]
        return min(shown, key=lambda part: _tightest(part).share_left, default=None)


OPEN = Decision(allowed=True)
"""Nothing is limited."""


def headers(decisions: Iterable[Decision]) -> dict[str, str]:
    """The headers of an answer to a request for which these decisions were made; none when
    nothing is limited."""
    given = [each for each in decisions if each.limiter]
    if not given:
        return {}
    told = _told(given)
    answer = {} if told.allowed else {"Retry-After": str(told.retry_after)}
    if standing := told.binding:
        answer |= {
            "X-RateLimit-Limit": str(standing.window.limit),
            "X-RateLimit-Remaining": str(standing.remaining),
            "X-RateLimit-Reset": str(whole_seconds(told.at_ms + standing.reset_ms)),
        }
    if items := list(_items(given)):
        answer["RateLimit-Policy"] = ", ".join(
            f'"{name}";q={each.window.limit};w={each.window.seconds}' for name, each in items
        )
        answer["RateLimit"] = ", ".join(
            f'"{name}";r={each.remaining};t={each.reset_seconds}' for name, each in items
        )
    return answer


HEADERS = (
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
)


def whole_seconds(milliseconds: int) -> int:
    """Rounded up."""
    return -(-milliseconds // 1000)


def _told(given: list[Decision]) -> Decision:
    """The refusal with the longest wait, else the one with the smallest share left."""
    if len(given) == 1:
        return given[0]
    refused = [each for each in given if not each.allowed]
    if refused:
        return max(refused, key=lambda each: each.retry_after)
    return min(given, key=lambda each: each.binding.share_left if each.binding else 1.0)


def _tightest(part: Part, *, refused: bool = False) -> Standing:
    """Of equals, the longest window: windows stand in the order of their length."""
    waiting = [each for each in part.windows if refused and each.reset_ms == part.wait_ms]
    return min(reversed(waiting or part.windows), key=lambda each: each.share_left)


def _items(given: list[Decision]) -> Iterator[tuple[str, Standing]]:
    """Every window with its name; the subject is in the name where a limiter counts several."""
    parts = {part.key: part for each in given for part in each.parts if not part.shadow}
    names = [part.limiter for part in parts.values()]
    for part in parts.values():
        several = names.count(part.limiter) > 1
        stem = f"{part.limiter}-{part.kind}" if several else part.limiter
        for standing in part.windows:
            yield f"{stem}-{standing.window.name}", standing
