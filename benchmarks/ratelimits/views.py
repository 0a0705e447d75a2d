"""What limits add to a request, from the handler to the answer with its headers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from benchmarks.rounds import in_turn, passed, worked
from benchmarks.stage import Stage
from benchmarks.table import Table

ROUNDS, QUICK_ROUNDS = 40, 2
CALLS = 50
"""In a round, by a user of its own."""
PATH = "/api"
AIM = 0.35
NONE, OURS, THEIRS = "no throttle", "Docmill", "two throttles of Django REST framework"
FLOOR = "one empty EVALSHA in its place"


def measure(stage: Stage, table: Table) -> None:
    """The same view, signed in by a key, in four ways: two windows for who asks with the headers
    and the limit for all together; two throttles; one call of the server, and no limit; nothing."""
    from django.test import override_settings

    from apps.ratelimits import redis_store
    from apps.ratelimits.stores import store

    redis_store.ANSWER_SECONDS = 10.0  # for the reason that is in `calls`
    count = stage.size(ROUNDS, QUICK_ROUNDS)
    tokens = [token(number) for number in range(count + 1)]
    with override_settings(LIMIT_API="60/min, 1000/h", LIMIT_GLOBAL="1000000/min"):
        store.cache_clear()
        works = {name: asking(tokens, name) for name in (NONE, OURS, THEIRS, FLOOR)}
        server: Any = store().redis
        with choosing() as choose:
            blocks = in_turn(works, server.client, count, CALLS, before=choose)
    for clock, of in (("time", passed), ("processors", worked)):
        plain = of(blocks[NONE])
        added = {
            name: [each - bare for each, bare in zip(of(blocks[name]), plain, strict=True)]
            for name in (OURS, THEIRS, FLOOR)
        }
        what = f"added to a request of {median(plain):.0f} µs: {clock}"
        table.compare(what, added[OURS], THEIRS, added[THEIRS], AIM)
        table.compare(what, added[OURS], FLOOR, added[FLOOR], None)


def token(number: int) -> str:
    """That of a new key of a new user."""
    from apps.accounts.models import Organization
    from apps.accounts.services import create_api_key, create_user

    user = create_user(email=f"asks{number}@example.com", password=None)
    organization = Organization.objects.get(personal_of=user)
    return create_api_key(organization=organization, user=user, name="benchmark")[1]


def asking(tokens: list[str], name: str) -> Callable[[str], object]:
    from django.test import Client

    client = Client(SERVER_NAME="localhost")

    def ask(key: str) -> object:
        answer = client.get(PATH, headers={"authorization": f"Bearer {tokens[int(key)]}"})
        assert answer.status_code == 200, answer.content
        assert ("RateLimit" in answer) == (name == OURS), answer.headers
        return answer

    return ask


@contextmanager
def choosing() -> Iterator[Callable[[str, str], None]]:
    """Gives what puts the throttles of the view; afterwards they are what they were."""
    from django.conf import settings
    from rest_framework.throttling import BaseThrottle, UserRateThrottle

    from apps.ratelimits.stores import store
    from apps.ratelimits.throttle import Limits
    from apps.web.api import Root

    class Minute(UserRateThrottle):
        scope, rate = "minute", "60/min"

    class Hour(UserRateThrottle):
        scope, rate = "hour", "1000/hour"

    redis: Any = store().redis
    client = redis.client
    digest = client.script_load("return 1")

    class Empty(BaseThrottle):
        def allow_request(self, request: Any, view: Any) -> bool:
            return bool(client.evalsha(digest, 0))

    throttles: dict[str, list[Any]] = {NONE: [], OURS: [Limits], THEIRS: [Minute, Hour]}
    throttles[FLOOR] = [Empty]
    view: Any = Root
    before = view.throttle_classes

    def choose(name: str, _key: str) -> None:
        view.throttle_classes = throttles[name]
        settings.ENABLE_RATE_LIMITING = name == OURS

    try:
        yield choose
    finally:
        view.throttle_classes, settings.ENABLE_RATE_LIMITING = before, True
