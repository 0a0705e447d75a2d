"""Odd requests at every route, over sockets: never a bug of ours, never silence."""

import os
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from apps.accounts.models import User
from apps.accounts.roles import Role
from tests.doors.judging import Answer, faults_of, send
from tests.doors.knocking import Knock, dice_of, knocks
from tests.doors.world import World
from tests.jobs.serving import Web
from tests.journeys.routes import EVERY
from tests.journeys.test_admin import admin_paths

SEED = int(os.environ.get("FUZZ_API_SEED", "1"))
EACH = int(os.environ.get("FUZZ_API_EACH", "4"))
"""Odd requests for each method of each route."""
ENDS_THE_SESSION = ("sign-out", "admin/logout/", "settings/account/delete")


@pytest.mark.postgres  # see test_schema
@pytest.mark.timeout(0)
def test_no_request_is_a_bug_of_ours(web: Web, acme_world: World) -> None:
    seen: Counter[str] = Counter()
    found = []
    for plain in plain_requests(acme_world):
        for knock in knocks(plain, dice_of(SEED, plain.route, str(plain.method)), EACH):
            try:
                answer = send(web.port, knock)
                faults = faults_of(knock, answer)
            except TimeoutError:
                answer, faults = Answer(0), ["no answer in time"]
            seen[f"{answer.status // 100}xx" if answer.is_ours else "the server's own"] += 1
            found += [f"{fault}\n  {knock.told()}\n  {answer.body[:400]!r}" for fault in faults]
    assert not found, f"{len(found)} of {seen.total()}\n" + "\n".join(found[:40])
    web.assert_no_trouble()
    # It is no fuzz that is turned away at the door.
    assert min(seen["2xx"], seen["4xx"]) > seen.total() / 20, seen


def plain_requests(world: World) -> Iterator[Knock]:
    """One that is fine for each method of each route, by an owner or nobody."""
    owner = world.users[Role.OWNER]
    User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    for route, verbs in EVERY.items():
        for verb in verbs:
            yield from _plain(world, route, _filled(f"/{route}", world), verb)
    for route, path in list(admin_paths()):
        for verb in ("GET", "POST"):
            yield from _plain(world, route, _filled(path, world), verb)


def _plain(world: World, route: str, path: str, verb: str) -> Iterator[Knock]:
    dice = dice_of(SEED, route, verb, "caller")
    how = dice.choice(["key", "session"]) if route.startswith("api") else "session"
    given = {} if route in ENDS_THE_SESSION else world.headers(Role.OWNER, how)
    if not route.startswith("api") and dice.random() < 0.5:
        given |= {"HX-Request": "true"}
    headers = tuple((name.encode(), value.encode()) for name, value in given.items())
    yield Knock(verb.encode(), path.encode(), headers, route=route)


def _filled(route: str, world: World) -> str:
    ids = world.ids | {
        "operation": ["retry"],
        "code": ["request.not_found"],
        "key_id": world.ids["api_key_id"],
        "pk": ["1"] if "admin" in route else world.ids["notification_id"],
        "number": ["1"],
        "session_id": world.ids["notification_id"],
        "token": ["a-token:of:nothing"],
        "uidb64": ["MQ"],
    }
    dice = dice_of(SEED, route)
    return re.sub(r"<\w+:(\w+)>", lambda found: dice.choice(ids[found[1]]), route)
