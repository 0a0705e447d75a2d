"""What an answer tells of limits."""

import http_sf
import pytest

from apps.ratelimits.decision import OPEN, Decision, Part, Standing, headers
from apps.ratelimits.windows import Window

NOW = 1_800_000_000_500
MINUTE, HOUR = Window(100, 60), Window(1000, 3600)


def part(limiter: str, *windows: Standing, kind: str = "user", wait_ms: int = 0) -> Part:
    return Part(limiter, kind, f"{limiter}:{kind}", windows, wait_ms=wait_ms)


def allowed(*parts: Part) -> Decision:
    return Decision(True, parts, NOW, "redis")


def refused(*parts: Part) -> Decision:
    return Decision(False, parts, NOW, "redis")


def test_the_smallest_share_left_is_told() -> None:
    api = part("api", Standing(MINUTE, 40, 20_001), Standing(HOUR, 700, 900_000))
    search = part("search", Standing(Window(20, 60), 1, 60_000))
    told = headers([allowed(api, search)])
    assert told == {
        "X-RateLimit-Limit": "1000",
        "X-RateLimit-Remaining": "300",
        "X-RateLimit-Reset": "1800000901",
        "RateLimit-Policy": '"api-minute";q=100;w=60, "api-hour";q=1000;w=3600, '
        '"search-minute";q=20;w=60',
        "RateLimit": '"api-minute";r=60;t=21, "api-hour";r=300;t=900, "search-minute";r=19;t=60',
    }


def test_both_fields_are_structured() -> None:
    auth = Window(5, 900)
    address = part("auth", Standing(auth, 2, 800_000), kind="address")
    account = part("auth", Standing(auth, 1, 900_000), kind="account")
    told = headers(
        [allowed(part("global", Standing(Window(6000, 60), 9, 100))), allowed(address, account)]
    )
    policies = http_sf.parse(told["RateLimit-Policy"].encode(), tltype="list")
    states = http_sf.parse(told["RateLimit"].encode(), tltype="list")
    assert [name for name, _ in policies] == [name for name, _ in states]
    assert policies[1:] == [
        ("auth-address-15-minutes", {"q": 5, "w": 900}),
        ("auth-account-15-minutes", {"q": 5, "w": 900}),
    ]
    assert states[0] == ("global-minute", {"r": 5991, "t": 1})


def test_a_refusal_tells_the_longest_wait_and_never_too_early() -> None:
    minute, hour = Standing(MINUTE, 100, 1001), Standing(HOUR, 1000, 59_999)
    decision = refused(
        part("api", minute, hour, wait_ms=59_999),
        part("search", Standing(Window(2, 60), 2, 500), wait_ms=500),
    )
    told = headers([decision])
    assert decision.limiter == "api"
    assert told["Retry-After"] == "60"
    assert told["X-RateLimit-Limit"] == "1000"
    assert told["X-RateLimit-Remaining"] == "0"
    assert told["X-RateLimit-Reset"] == "1800000061"


def test_a_refusal_comes_before_what_was_allowed() -> None:
    full = refused(part("search", Standing(Window(2, 60), 2, 500), wait_ms=500))
    told = headers([allowed(part("api", Standing(HOUR, 999, 5))), full])
    assert told["X-RateLimit-Limit"] == "2"
    assert told["Retry-After"] == "1"


def test_a_shadow_is_told_to_nobody() -> None:
    shadow = Part("api", "user", "api:u1", (Standing(MINUTE, 100, 5),), wait_ms=5, shadow=True)
    assert headers([allowed(shadow)]) == {}
    assert allowed(shadow).retry_after == 0


@pytest.mark.parametrize("decisions", [[], [OPEN], [OPEN, OPEN]])
def test_nothing_limited_is_nothing_told(decisions: list[Decision]) -> None:
    assert headers(decisions) == {}


def test_who_is_blocked_is_told_until_when_only() -> None:
    assert headers([refused(part("api", wait_ms=3_600_000))]) == {"Retry-After": "3600"}
