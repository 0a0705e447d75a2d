"""What is refused at the start, and what the table says where nobody set anything."""

from typing import Any

import pytest

from apps.ratelimits.checks import check_limits
from apps.ratelimits.ledger import Fallback
from apps.ratelimits.limiters import TABLE, limiter, limiters
from apps.ratelimits.windows import parse_windows

DEFAULTS = {
    "auth": "5/15min",
    "api": "100/min, 1000/h, 20/s",
    "live": "120/min",
    "anonymous": "10/min",
    "search": "20/min",
    "chat": "10/min",
    "ai": "20/min",
    "deep-analysis": "5/min",
    "cost-analysis": "10/min",
    "ocr": "50/h",
    "batch-upload": "3/h",
    "upload": "5/h",
    "share": "50/day",
    "global": "6000/min",
}


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.usefixtures("default_limits")
def test_default_limits(name: str) -> None:
    assert limiter(name).windows == parse_windows(DEFAULTS[name])


def test_the_table_is_whole() -> None:
    assert set(TABLE) == set(DEFAULTS) == set(limiters())
    assert [name for name, each in limiters().items() if each.fallback is Fallback.SQL] == ["auth"]


def test_the_settings_are_sound() -> None:
    assert check_limits() == []


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("LIMIT_SEARCH", "20 a minute", "LIMIT_SEARCH: '20 a minute' is not a number per time"),
        ("LIMIT_DEEP_ANALYSIS", "0/min", "LIMIT_DEEP_ANALYSIS: '0/min'"),
        ("LIMITS_FAIL_CLOSED", ["aut"], "there is no limiter 'aut', only auth, api"),
        ("TRUSTED_PROXIES", ["10.0.0.1/8"], "TRUSTED_PROXIES: 10.0.0.1/8 has host bits set"),
        ("TRUSTED_PROXY_COUNT", 0, "TRUSTED_PROXY_COUNT must be at least 1"),
        ("LIMITS_REDIS_URL", "http://localhost", "LIMITS_REDIS_URL: Redis URL must specify"),
    ],
)
def test_a_setting_that_means_nothing(settings: Any, setting: str, value: Any, told: str) -> None:
    setattr(settings, setting, value)
    [error] = check_limits()
    assert told in error.msg
    assert error.id in {f"ratelimits.E00{number}" for number in range(1, 5)}


def test_a_changed_setting_is_read_again(settings: Any) -> None:
    settings.LIMIT_SEARCH = "unlimited"
    settings.LIMITS_FAIL_CLOSED = ["search"]
    assert limiter("search").windows == ()
    assert limiter("search").fallback is Fallback.CLOSED
