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
from apps.ratelimits import abuse, rulebook
from apps.ratelimits.decision import OPEN, Decision, Part, Standing
from apps.ratelimits.errors import TooManyRequests
from apps.ratelimits.ledger import Answer, Ask, Source, Verdict, keys_of
from apps.ratelimits.limiters import limiter
from apps.ratelimits.rulebook import Ruling
from apps.ratelimits.stores import store
from apps.ratelimits.subjects import Subject

Pair = tuple[str, Subject]
SHADOW = ":shadow"
"""Ends the key under which a shadow counts."""


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
    if not decision.allowed:
        return
    parts = [part for part in decision.parts if part.is_counted]
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

    `told` is how the audit log names the subject; its kind and key in the store when empty.
    """
    windows = {limiter(name).windows}
    subjects = (subject, *caller)
    for ruled in (rulebook.ruling(name, subjects), rulebook.shadow(name, subjects)):
        windows |= {ruled.windows} if ruled else set()
    key = _key(name, subject)
    keys = [each for every in windows for each in keys_of(key, every)]
    keys += [each for every in windows for each in keys_of(key + SHADOW, every)]
    audit.record(
        organization=None,
        actor=actor,
        action="limit.reset",
        target="limit",
        target_id=name,
        detail={"subject": told or subject.key, "kind": subject.kind.word},
        reason=reason,
    )
    store().forget(list(dict.fromkeys(keys)))


def _decide(pairs: Sequence[Pair], cost: int, caller: Sequence[Subject], *, hit: bool) -> Decision:
    if not settings.ENABLE_RATE_LIMITING:
        return OPEN
    rulebook.refresh()
    ruled = [(pair, rulebook.ruling(pair[0], (pair[1], *caller))) for pair in pairs]
    blocked = _blocked(ruled, hit=hit)
    if blocked is not None:
        return blocked
    limited = [
        (pair, ask)
        for pair, rule in ruled
        for ask in _asks(pair, rule, caller, cost)
        if ask.windows
    ]
    if not limited:
        return OPEN
    answer = store().decide([ask for _, ask in limited], hit=hit)
    rulebook.heard(answer.stamp)
    parts = [
        _part(pair, ask, verdict)
        for (pair, ask), verdict in zip(limited, answer.verdicts, strict=True)
    ]
    decision = Decision(answer.allowed, tuple(parts), answer.now_ms, answer.source)
    if hit and not answer.allowed:
        abuse.note(decision, (*[subject for _, subject in pairs], *caller))
    return decision


def _key(name: str, subject: Subject) -> str:
    return f"{name}:{subject.key}"


def _asks(pair: Pair, rule: Ruling | None, caller: Sequence[Subject], cost: int) -> list[Ask]:
    """What holds, and beside it, under a key of its own, what a shadow only tries."""
    name, subject = pair
    limit, key = limiter(name), _key(name, subject)
    asks = [Ask(key, rule.windows if rule else limit.windows, cost, False, name, limit.fallback)]
    if tried := rulebook.shadow(name, (subject, *caller)):
        asks.append(Ask(key + SHADOW, tried.windows, cost, True, name, limit.fallback))
    return asks


def _ask_again(part: Part) -> Ask:
    windows = tuple(standing.window for standing in part.windows)
    return Ask(part.key, windows, part.cost, part.shadow, part.limiter)


def _part(pair: Pair, ask: Ask, verdict: Verdict) -> Part:
    standings = [
        # A store that cannot be asked knows of no uses.
        Standing(window, *use)
        for window, use in zip(ask.windows, verdict.uses, strict=False)
    ]
    name, subject = pair
    return Part(
        name, subject.kind.word, ask.key, tuple(standings), ask.cost, verdict.wait_ms, ask.shadow
    )


def _blocked(ruled: Sequence[tuple[Pair, Ruling | None]], *, hit: bool) -> Decision | None:
    """The refusal of those whom a rule blocks for now, None where there are none."""
    now = time.time()
    parts = [
        Part(
            name,
            subject.kind.word,
            _key(name, subject),
            (),
            wait_ms=int((rule.blocked_until - now) * 1000),
        )
        for (name, subject), rule in ruled
        if rule and rule.blocked_until > now
    ]
    if not parts:
        return None
    if hit:
        asks = [Ask(part.key, (), tally=part.limiter) for part in parts]
        verdicts = tuple(Verdict((), part.wait_ms) for part in parts)
        answer = Answer(False, int(now * 1000), verdicts, source=Source.REDIS)
        store().tally.add(asks, answer, int(now // 60))
    return Decision(allowed=False, parts=tuple(parts), at_ms=int(now * 1000))
