"""Whether something may go on: the only door to the limits.

A limit counts before the work is done, so that of many at once no more than the limit pass; what
turns out not to count is given back with `refund`. Nothing here raises because Redis is away.
"""

import time
from collections.abc import Sequence

from django.conf import settings
from django.db import transaction

from apps.accounts.models import User
from apps.audit import services as audit
from apps.core.errors import Unavailable
from apps.ratelimits import abuse, rulebook
from apps.ratelimits.decision import OPEN, Decision, Part, Standing
from apps.ratelimits.errors import TooManyRequests
from apps.ratelimits.ledger import Ask, Source, keys_of
from apps.ratelimits.limiters import limiter
from apps.ratelimits.rulebook import Ruling
from apps.ratelimits.stores import store
from apps.ratelimits.subjects import Subject

Pair = tuple[str, Subject]
SHADOW = ":shadow"
"""Ends the key under which a rule counts that is only tried."""


def check(
    name: str,
    subjects: Subject | Sequence[Subject],
    *,
    cost: int = 1,
    caller: Sequence[Subject] = (),
) -> Decision:
    """Counts `cost` hits of the limiter `name` for each of `subjects`, if all have room for them.

    `caller` are others whose rules apply as well, the most particular first: their user,
    organization, address. Raises KeyError for a limiter that is not in the table.
    """
    wanted = (subjects,) if isinstance(subjects, Subject) else subjects
    return check_all([(name, subject) for subject in wanted], cost=cost, caller=caller)


def check_all(pairs: Sequence[Pair], *, cost: int = 1, caller: Sequence[Subject] = ()) -> Decision:
    """Counts `cost` hits for each (limiter's name, subject) if all have room for them, and nothing
    if one has not: in one round trip to Redis, exact whatever happens at the same moment."""
    return _decide(pairs, cost, caller, hit=True)


def peek(pairs: Sequence[Pair], *, cost: int = 1, caller: Sequence[Subject] = ()) -> Decision:
    """What `check_all` would say now. Counts nothing."""
    return _decide(pairs, cost, caller, hit=False)


def require(decision: Decision) -> Decision:
    """The decision, if it is to go on. Raises TooManyRequests."""
    if not decision.allowed:
        raise TooManyRequests(decision)
    return decision


def refund(decision: Decision, *names: str) -> None:
    """Gives back what an allowed decision counted, of the limiters `names` or of all.

    For a sign-in that went well, a batch that was refused before it was stored. Once for each
    decision.
    """
    if not decision.is_counted:
        return
    parts = [part for part in decision.parts if part.had_room]
    asks = [_ask_again(part) for part in parts if not names or part.limiter in names]
    if asks:
        store().refund(asks, decision.at_ms, Source(decision.source))


@transaction.atomic
def reset_limit(
    *,
    actor: User | None,
    name: str,
    subject: Subject,
    caller: Sequence[Subject] = (),
    told: str = "",
    reason: str = "",
) -> None:
    """The counts of the limiter `name` for `subject` begin anew, in every process within a second.

    `caller` are others whose rules apply to it, as in `check`. `told` is how the audit log names
    the subject; its key in the store when empty. Raises Unavailable when Redis is away: there its
    counts go on.
    """
    rulebook.read()  # under which key it counts is told by the rule that holds now
    subjects = (subject, *caller)
    ruled = (rulebook.ruling(name, subjects), rulebook.shadow(name, subjects))
    all_windows = [limiter(name).windows, *(each.windows for each in ruled if each)]
    stems = (f"{name}:{subject.key}", f"{name}:{subject.key}{SHADOW}")
    keys = dict.fromkeys(
        key for stem in stems for windows in all_windows for key in keys_of(stem, windows)
    )
    audit.record(
        organization=None,
        actor=actor,
        action="limit.reset",
        target="limit",
        target_id=name,
        detail={"subject": told or subject.key, "kind": subject.kind.word},
        reason=reason,
    )
    if not store().forget(list(keys)):
        raise Unavailable("Redis cannot be reached, and goes on with what it has counted.")


def _decide(pairs: Sequence[Pair], cost: int, caller: Sequence[Subject], *, hit: bool) -> Decision:
    if not settings.ENABLE_RATE_LIMITING:
        return OPEN
    rulebook.refresh()
    asks: dict[str, Ask] = {}
    kinds: list[str] = []
    blocked: list[Part] = []
    for name, subject in pairs:
        key = f"{name}:{subject.key}"
        limit = limiter(name)
        rule = rulebook.ruling(name, (subject, *caller))
        windows = rule.windows if rule else limit.windows
        if rule and rule.blocked_until and (wait_ms := _blocked_ms(rule)):
            blocked.append(Part(name, subject.kind.word, key, (), wait_ms=wait_ms))
        elif windows and key not in asks:
            asks[key] = Ask(key, windows, cost, False, name, limit.fallback)
            kinds.append(subject.kind.word)
    if blocked:
        return _refused(blocked, asks, kinds, hit=hit)
    for ask, kind in _tried(pairs, cost, caller, hit=hit).items():
        asks[ask.key] = ask
        kinds.append(kind)
    decision = _told(list(asks.values()), kinds, hit=hit) if asks else OPEN
    if hit and not decision.allowed:
        abuse.note(decision, (*[subject for _, subject in pairs], *caller))
    return decision


def _refused(blocked: list[Part], asks: dict[str, Ask], kinds: list[str], *, hit: bool) -> Decision:
    """What a rule blocks, of which the store is asked nothing; who only looks is told the rest."""
    decision = OPEN
    if hit:
        for part in blocked:
            store().note(part.limiter, "refused")
    elif asks:
        decision = _told(list(asks.values()), kinds, hit=False)
    at_ms = decision.at_ms or int(time.time() * 1000)
    return Decision(False, (*blocked, *decision.parts), at_ms, decision.source)


def _tried(
    pairs: Sequence[Pair], cost: int, caller: Sequence[Subject], *, hit: bool
) -> dict[Ask, str]:
    """What rules ask that are only tried, each with its subject's kind.

    Under keys of their own, beside what holds: else trying a smaller number would lift the one that
    is in force.
    """
    asks: dict[Ask, str] = {}
    for name, subject in pairs:
        rule = rulebook.shadow(name, (subject, *caller))
        if rule and rule.windows:
            key = f"{name}:{subject.key}{SHADOW}"
            ask = Ask(key, rule.windows, cost, True, name, limiter(name).fallback)
            asks[ask] = subject.kind.word
        elif rule and rule.blocked_until and hit:
            store().note(name, "shadow")
    return asks


def _told(asks: list[Ask], kinds: list[str], *, hit: bool) -> Decision:
    """What the store decides; `kinds` are of the asks' subjects."""
    answer = store().decide(asks, hit=hit)
    rulebook.heard(answer.stamp)
    parts = []
    for ask, kind, (uses, wait_ms) in zip(asks, kinds, answer.verdicts, strict=True):
        # A store that cannot be asked knows of no uses.
        pairs = zip(ask.windows, uses, strict=False)
        windows = tuple([Standing(window, used, reset) for window, (used, reset) in pairs])
        parts.append(Part(ask.tally, kind, ask.key, windows, ask.cost, wait_ms, ask.shadow))
    counted = hit and answer.allowed
    return Decision(answer.allowed, tuple(parts), answer.now_ms, answer.source, counted)


def _blocked_ms(rule: Ruling) -> int:
    """For how long a rule blocks."""
    return max(0, int((rule.blocked_until - time.time()) * 1000))


def _ask_again(part: Part) -> Ask:
    windows = tuple(standing.window for standing in part.windows)
    return Ask(part.key, windows, part.cost, part.shadow, part.limiter)
