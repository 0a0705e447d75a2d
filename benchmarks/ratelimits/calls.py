"""What a decision costs: the door that all code goes through, beside a script that does nothing."""

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha1
from types import SimpleNamespace
from typing import Any

from benchmarks.ratelimits.peers import TOLD, peers
from benchmarks.rounds import Block, Blocks, calls_of, in_turn, passed, worked
from benchmarks.stage import Stage
from benchmarks.table import Table

ROUNDS, QUICK_ROUNDS = 100, 3
CALLS = 50
"""In a round, with keys of its own: less than the smallest window lets pass."""
WINDOWS = "60/min, 1000/h"
FULL_WINDOWS, FULL = "1000/min, 2000/h", 900
RULES = 50
"""Of each kind; none is for who asks, so all are looked through."""
AIM = 2.0
EMPTY = "empty EVALSHA"
CHECK = "`check`, two windows, rules"
FULLER = f"`check`, {FULL} hits kept"


def measure(stage: Stage, table: Table) -> None:
    from django.test import override_settings

    from apps.ratelimits import redis_store
    from apps.ratelimits.stores import store

    # A late answer is a slow one; as it is installed, the calls after it would be counted in
    # memory, and be measured as quick ones.
    redis_store.ANSWER_SECONDS = 10.0
    rounds = stage.size(ROUNDS, QUICK_ROUNDS)
    with override_settings(LIMIT_SEARCH=WINDOWS, LIMIT_CHAT=FULL_WINDOWS):
        store.cache_clear()
        lay_down_rules()
        works = {**empty(), CHECK: checks("search"), FULLER: checks("chat")}
        for peer in peers([TOLD])[1:]:
            works[peer.name] = peer.start(stage_url(), windows())
        server: Any = store().redis
        blocks = in_turn(works, server.client, rounds, CALLS, before=fill)
        alone = in_turn(works, server.client, rounds, 1, before=fill)
    for name in works:
        if name != EMPTY:
            tell(table, name, AIM if name == CHECK else None, blocks)
    tell_passed(table, f"{CHECK}, each after all others", AIM, alone[CHECK], alone[EMPTY])


def tell(table: Table, name: str, aim: float | None, blocks: Blocks) -> None:
    mine, base = blocks[name], blocks[EMPTY]
    tell_passed(table, name, aim, mine, base)
    here, beside = worked(mine), worked(base)
    table.compare(f"{name}: processors", here, f"{EMPTY}", beside, aim)


def tell_passed(
    table: Table, name: str, aim: float | None, mine: list[Block], base: list[Block]
) -> None:
    """Ratios of the rounds' medians; what is told beside them is of all calls."""
    row = (f"{name}: time", passed(mine), EMPTY, passed(base), aim)
    table.compare(*row, told=(calls_of(mine), calls_of(base)))


def stage_url() -> str:
    from django.conf import settings

    return str(settings.REDIS_URL)


def windows() -> Any:
    from apps.ratelimits.windows import parse_windows

    return parse_windows(WINDOWS)


def empty() -> dict[str, Callable[[str], object]]:
    """A script that does nothing, sent by the client, and in the way of the store, past it."""
    from apps.ratelimits.stores import store

    redis: Any = store().redis
    digest = redis.client.script_load("return 1")
    text = "return 1"
    script = SimpleNamespace(text=text, digest=sha1(text.encode()).hexdigest())
    return {
        EMPTY: lambda _: redis.client.evalsha(digest, 0),
        "empty EVALSHA as Docmill sends it": lambda _: redis._run(script, [], []),
    }


def checks(limiter: str) -> Callable[[str], object]:
    """A user asks, with an organization and an address, whose rules would hold as well."""
    from apps.ratelimits.services import check

    def ask(key: str) -> object:
        user, *others = who(key)
        decision = check(limiter, user, caller=[user, *others])
        assert decision.allowed, decision
        assert decision.source == "redis", decision
        return decision

    return ask


def who(key: str) -> Any:
    from uuid import UUID

    from apps.ratelimits.subjects import Subject

    number = 1_000_000 + int(key)
    known = _known.get(number)
    if known is None:
        organization = Subject.organization(UUID(int=number))
        known = [Subject.user(number), organization, Subject.address("203.0.113.7")]
        _known[number] = known
    return known


_known: dict[int, Any] = {}
_filled: set[str] = set()


def fill(_name: str, key: str) -> None:
    """Puts into the log of the fuller one what it keeps, once in each round."""
    from apps.ratelimits.services import check

    if key not in _filled:
        _filled.add(key)
        assert check("chat", who(key)[0], cost=FULL).allowed


def lay_down_rules() -> None:
    """For users, organizations and networks that are others, some of them only tried."""
    from django.utils import timezone

    from apps.accounts.services import create_organization, create_user
    from apps.ratelimits.rules import add_rule

    soon = timezone.now() + timedelta(days=1)
    for number in range(RULES):
        user = create_user(email=f"rule{number}@example.com", password=None)
        organization = create_organization(name=f"Rule {number}", owner=user)
        usual = {"by": None, "reason": "Measured", "expires_at": soon}
        add_rule(user=user, limiter="search", windows="20/min", shadow=number % 2 == 1, **usual)
        add_rule(organization=organization, limiter="search", windows="30/min", **usual)
        add_rule(network=f"198.51.{number}.0/24", limiter="search", windows="40/min", **usual)
