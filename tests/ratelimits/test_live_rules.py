"""Two real processes see what an operator does: a rule within two seconds, a reset within one."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.ratelimits import inspection
from apps.ratelimits.rules import add_rule, change_rule, remove_rule
from apps.ratelimits.whom import of_user
from tests.processes import Process

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once, pytest.mark.alone]
Manage = Callable[..., Process]
ASKING = """
import time
from apps.ratelimits.services import check
from apps.ratelimits.subjects import Subject
told = None
while True:
    decision = check("search", Subject.user({user}))
    limit = max((p.windows[0].window.limit for p in decision.parts if p.windows), default=0)
    now = f"{{limit}} {{'passes' if decision.allowed else 'refused'}}"
    if now != told:
        print(now, flush=True)
    told = now
    time.sleep({pause})
"""


def started(manage: Manage, user: User, *, pause: float) -> list[Process]:
    code = ASKING.format(user=user.pk, pause=pause)
    env = {"LIMIT_SEARCH": "100000/h"}
    processes = [manage("shell", "--no-imports", "-c", code, env=env) for _ in range(2)]
    for each in processes:
        each.wait_for("100000 passes")
    return processes


def seen(processes: list[Process], line: str, *, seconds: float) -> None:
    """Fails unless each of them prints the line so soon."""
    end = time.monotonic() + seconds
    for each in processes:
        each.wait_for(lambda each=each: each.output.split("\n")[-2] == line, seconds=seconds)
    assert time.monotonic() < end


@pytest.mark.parametrize("pause", [0.05, 0.9], ids=["busy", "idle"])
def test_a_rule_is_in_force_within_two_seconds(manage: Manage, alice: User, pause: float) -> None:
    processes = started(manage, alice, pause=pause)
    rule = add_rule(by=alice, user=alice, limiter="search", windows="90000/h", reason="a test")
    seen(processes, "90000 passes", seconds=2)
    until = timezone.now() + timedelta(hours=1)
    change_rule(by=alice, rule=rule, windows="", blocked_until=until)
    seen(processes, "0 refused", seconds=2)
    remove_rule(by=alice, rule=rule)
    seen(processes, "100000 passes", seconds=2)


@pytest.mark.alone  # it measures
def test_a_reset_is_in_force_within_one_second(manage: Manage, alice: User) -> None:
    processes = started(manage, alice, pause=0.05)
    add_rule(by=alice, user=alice, limiter="search", windows="60/h", reason="a test")
    seen(processes, "60 refused", seconds=10)
    reset_at = time.monotonic()
    assert inspection.reset(by=alice, whom=of_user(alice), name="search") == ["search"]
    # Neither uses up what passes before the other has had some of it.
    for each in processes:
        each.wait_for(lambda each=each: each.output.count("60 passes") == 2, seconds=1)
    assert time.monotonic() - reset_at < 1
