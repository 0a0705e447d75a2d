"""Limits in the admin: rules, counts, resets, who is refused; to whom, and with Redis gone."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Organization, User
from apps.audit.models import AuditEntry
from apps.ratelimits.models import LimitHour, Offender, RateLimitRule
from apps.ratelimits.rules import add_rule
from apps.ratelimits.services import check
from apps.ratelimits.statistics import fold
from apps.ratelimits.subjects import EVERYTHING, Subject
from tests.operators import staff, superuser, told
from tests.servers import Valkey

pytestmark = [
    pytest.mark.once,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("default_limits"),
]

COUNTS = reverse("admin:ratelimits_limitsnow_changelist")
RESET = reverse("admin:ratelimits_limitsnow_reset")
RULES = reverse("admin:ratelimits_ratelimitrule_changelist")
ADD = reverse("admin:ratelimits_ratelimitrule_add")


@pytest.fixture
def operator(db: None) -> Client:
    return superuser()


def text_of(client: Client, url: str, **query: str) -> str:
    """The page without its marks."""
    answer = client.get(url, query)
    assert answer.status_code == 200
    html = re.sub(r"<(svg|select|nav)\b.*?</\1>", " ", answer.content.decode(), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def row_of(client: Client, heading: str, **query: str) -> str:
    html = client.get(COUNTS, query).content.decode()
    rows = re.findall(r"<tr.*?</tr>", html, re.DOTALL)
    found = [row for row in rows if re.search(rf'<th scope="row">{heading}</th>', row)]
    return " ".join(re.sub(r"<[^>]*>", " ", found[0]).split())


def rule_of(**fields: Any) -> RateLimitRule:
    return add_rule(by=None, **({"reason": "a test"} | fields))


def in_an_hour() -> str:
    return f"{timezone.localtime() + timedelta(hours=1):%Y-%m-%dT%H:%M}"


def form(**fields: str) -> dict[str, str]:
    return {"limiter": "", "effect": "number", "reason": "a test", "enabled": "on"} | fields


def test_counts_of_a_user_are_found_by_address(operator: Client, alice: User) -> None:
    for _ in range(3):
        check("search", Subject.user(alice.pk))
    who = {"who": "Alice@example.com"}
    assert row_of(operator, "search", **who).startswith("search user open 20/minute 3 17 1 min")
    assert "LIMIT_SEARCH" in row_of(operator, "search", **who)
    assert "alice@example.com Limiter Per" in text_of(operator, COUNTS, **who)
    assert row_of(operator, "api", **who).startswith(
        "api user open 20/second 100/minute 1000/hour 0 0 0 20 100 1000"
    )
    assert row_of(operator, "search", **who).startswith("search user open 20/minute 3 17")


def test_a_count_tells_the_rule_that_holds(operator: Client, alice: User) -> None:
    personal = Organization.objects.get(personal_of=alice)
    rule = rule_of(organization=personal, limiter="search", windows="7/min")
    block = rule_of(user=alice, limiter="chat", blocked_until=timezone.now() + timedelta(hours=1))
    rule_of(user=alice, limiter="ocr", windows="unlimited")
    who = {"who": "alice@example.com"}
    assert f"7/minute 0 7 - Rule {rule.pk}" in row_of(operator, "search", **who)
    assert row_of(operator, "chat", **who).startswith("chat user blocked until ")
    assert f"Rule {block.pk}" in row_of(operator, "chat", **who)
    assert row_of(operator, "ocr", **who).startswith("ocr user unlimited - - - -")
    page = text_of(operator, COUNTS, **who)
    assert "Rules about them" in page
    assert "organization Alice search 7/minute in force" in page


def test_organizations_keys_addresses_and_all(operator: Client, acme: Organization) -> None:
    check("upload", Subject.organization(acme.pk))
    check("anonymous", Subject.address("2001:db8::1"))
    check("global", EVERYTHING)
    assert " 5/hour 1 4 " in row_of(operator, "upload", who="Acme")
    assert " 10/minute 1 9 " in row_of(operator, "anonymous", who="2001:db8:0:0:9::9")
    assert " 6000/minute 1 5999 " in row_of(operator, "global", who="everything")
    assert "find one of them" in text_of(operator, COUNTS, who="10.0.0.0/8")
    assert "Nothing here is called" in text_of(operator, COUNTS, who="<b>nobody</b>")
    assert "Nothing here is called" in text_of(operator, COUNTS, who="no\0body")


def test_a_reset_is_asked_for_then_done_and_audited(operator: Client, alice: User) -> None:
    me = Subject.user(alice.pk)
    check("search", me)
    check("chat", me)
    who = {"who": "alice@example.com", "limiter": "search"}
    assert "begin anew" in text_of(operator, RESET, **who)
    assert " 1 19 " in row_of(operator, "search", who=who["who"])  # looking does nothing
    answer = operator.post(RESET, who | {"reason": "they asked"}, follow=True)
    assert told(answer) == ["Begun anew for alice@example.com: search."]
    assert " 0 20 " in row_of(operator, "search", who=who["who"])
    assert " 1 9 " in row_of(operator, "chat", who=who["who"])
    entry = AuditEntry.objects.get(action="limit.reset")
    assert (entry.actor_name, entry.target_id, entry.reason) == (
        "root@example.com",
        "search",
        "they asked",
    )
    operator.post(RESET, {"who": "alice@example.com"})
    assert " 0 10 " in row_of(operator, "chat", who=who["who"])


@pytest.mark.parametrize("given", [{}, {"who": "x@y.z"}, {"who": "Acme", "limiter": "odd"}])
def test_a_reset_of_nobody_is_told(operator: Client, given: dict[str, str]) -> None:
    for answer in (
        operator.get(RESET, given, follow=True),
        operator.post(RESET, given, follow=True),
    ):
        assert answer.status_code == 200
        assert len(told(answer)) == 1
    assert not AuditEntry.objects.filter(action="limit.reset").exists()


def test_a_rule_is_added_and_changed(operator: Client, alice: User) -> None:
    me = Subject.user(alice.pk)
    given = form(who="alice@example.com", limiter="search", windows="2/m, 9/h")
    answer = operator.post(ADD, given, follow=True)
    assert answer.status_code == 200
    rule = RateLimitRule.objects.get()
    assert (rule.windows, rule.made_by and rule.made_by.email) == (
        "2/minute, 9/hour",
        "root@example.com",
    )
    assert [check("search", me).allowed for _ in range(3)] == [True, True, False]
    page = reverse("admin:ratelimits_ratelimitrule_change", args=[rule.pk])
    assert 'value="2/minute, 9/hour"' in operator.get(page).content.decode()
    operator.post(page, form(effect="unlimited"))
    rule.refresh_from_db()
    assert (rule.windows, rule.user, rule.limiter) == ("unlimited", alice, "search")
    assert check("search", me).allowed
    actions = AuditEntry.objects.filter(target="limit").order_by("number")
    assert [each.action for each in actions] == ["limit.rule_add", "limit.rule_change"]


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"windows": "0/min", "limiter": "search"}, "windows", "from 1 to"),
        ({"windows": "5/min"}, "windows", "choose which"),
        ({"windows": ""}, "windows", "Which number?"),
        ({"effect": "blocked"}, "blocked_until", "Until when?"),
        ({"effect": "blocked", "blocked_until": "2020-01-01T00:00"}, "windows", "future"),
        ({"who": "nobody@example.com"}, "who", "Nothing here is called"),
        ({"who": "everything", "effect": "unlimited"}, "who", "LIMIT_GLOBAL"),
        ({"reason": "", "effect": "unlimited"}, "reason", "required"),
        ({"limiter": "auth", "windows": "9/h"}, "who", "give an address"),
    ],
)
def test_what_makes_no_sense_is_told_at_its_field(
    operator: Client, alice: User, fields: dict[str, str], field: str, message: str
) -> None:
    answer = operator.post(ADD, form(who="alice@example.com") | fields)
    assert answer.status_code == 200
    assert message in " ".join(answer.context["form"].errors[field])
    assert not RateLimitRule.objects.exists()


def test_a_block_is_asked_for_once_more(operator: Client, alice: User) -> None:
    given = form(who="127.0.0.0/8", effect="blocked", blocked_until=in_an_hour())
    answer = operator.post(ADD, given)
    html = answer.content.decode()
    assert "These are 16,777,216 addresses." in html
    assert "You are at one of these addresses yourself." in html
    assert not RateLimitRule.objects.exists()
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', html))
    assert hidden.pop("confirmed") == "yes"
    hidden.pop("csrfmiddlewaretoken", None)
    operator.post(ADD, hidden | {"confirmed": "yes"})
    rule = RateLimitRule.objects.get()
    assert (rule.network, rule.enabled, rule.shadow) == ("127.0.0.0/8", True, False)
    assert not check("anonymous", Subject.address("127.0.0.1")).allowed
    page = text_of(operator, COUNTS)
    assert "address 127.0.0.0/8 every limiter" in page


def test_a_shadow_and_what_is_off_block_nobody(operator: Client) -> None:
    for number, more in enumerate(({"shadow": "on"}, {"enabled": ""})):
        given = form(who=f"10.0.0.{number}", effect="blocked", blocked_until=in_an_hour())
        assert operator.post(ADD, given | more).status_code == 302
        assert check("anonymous", Subject.address(f"10.0.0.{number}")).allowed


def test_the_list_finds_filters_and_lifts(
    operator: Client, alice: User, acme: Organization
) -> None:
    block = rule_of(network="203.0.113.7", blocked_until=timezone.now() + timedelta(hours=1))
    rule_of(user=alice, limiter="search", windows="7/min")
    rule_of(organization=acme, windows="unlimited", enabled=False)

    def found(**query: str) -> int:
        return len(operator.get(RULES, query).context["cl"].result_list)

    assert found() == 3
    assert found(state="in_force") == 2
    assert found(state="blocking") == found(q="203.0") == found(**{"for": "address"}) == 1
    assert found(state="off") == found(**{"for": "organization"}) == found(q=str(acme.pk)) == 1
    assert found(q="alice@example.com") == found(limiter="search") == 1
    assert found(state="over") == 0
    data = {"action": "remove", "_selected_action": [block.pk]}
    assert "lifted" in operator.post(RULES, data).content.decode()
    assert not check("anonymous", Subject.address("203.0.113.7")).allowed
    operator.post(RULES, data | {"confirmed": "yes"})
    assert check("anonymous", Subject.address("203.0.113.7")).allowed
    assert AuditEntry.objects.filter(action="limit.rule_remove").exists()


def test_who_is_refused_now_is_told(operator: Client, alice: User, settings: Any) -> None:
    settings.LIMIT_SEARCH = settings.LIMIT_ANONYMOUS = "1/h"
    for _ in range(2):
        check("search", Subject.user(alice.pk))
        check("anonymous", Subject.address("198.51.100.7"))
    page = text_of(operator, COUNTS)
    assert "alice@example.com search " in page
    assert "an address anonymous " in page
    assert "198.51.100.7" not in page
    Offender.objects.create(network="198.51.100.7/32", limiter="anonymous", times=2, user=alice)
    page = text_of(operator, COUNTS)
    assert "198.51.100.7 anonymous " in page
    assert "198.51.100.7/32 2 times 0 times" in page
    operator.post(RESET, {"who": "alice@example.com"})
    assert "alice@example.com search " not in text_of(operator, COUNTS)


def test_charts_of_what_was_counted(operator: Client, settings: Any) -> None:
    settings.LIMIT_SEARCH = "3/h"
    for _ in range(4):
        check("search", Subject.user(1))
    fold()
    assert LimitHour.objects.exists()
    for span in ("hour", "day", "month", "odd"):
        html = operator.get(COUNTS, {"span": span}).content.decode()
        assert "3 allowed, 1 refused." in html
        assert '<svg class="chart"' in html
        assert "style=" not in re.sub(r'"[^"]*stylesheet[^"]*"', "", html)


def test_with_redis_gone_it_works_and_says_so(
    operator: Client, alice: User, valkey: Valkey
) -> None:
    valkey.kill()
    check("search", Subject.user(alice.pk))
    page = text_of(operator, COUNTS, who="alice@example.com")
    assert "Redis is away: each process counts by itself" in page
    assert " 1 19 " in row_of(operator, "search", who="alice@example.com")
    assert "until it is back" in text_of(operator, RESET, who="alice@example.com")
    answer = operator.post(RESET, {"who": "alice@example.com"}, follow=True)
    assert told(answer)[0].startswith("Nothing was reset. Redis cannot be reached")
    assert not AuditEntry.objects.filter(action="limit.reset").exists()
    given = form(who="alice@example.com", limiter="search", windows="2/h")
    assert operator.post(ADD, given).status_code == 302
    assert [check("search", Subject.user(alice.pk)).allowed for _ in range(2)] == [True, False]


def test_without_redis_and_off_it_says_so(operator: Client, settings: Any) -> None:
    settings.LIMITS_REDIS_URL = "memory"
    assert "LIMITS_REDIS_URL=memory" in text_of(operator, COUNTS)
    check("global", EVERYTHING)
    operator.post(RESET, {"who": "everything"})
    assert " 0 6000 " in row_of(operator, "global", who="everything")
    settings.ENABLE_RATE_LIMITING = False
    assert "ENABLE_RATE_LIMITING=false" in text_of(operator, COUNTS, who="everything")


@pytest.mark.parametrize(
    ("permissions", "allowed"),
    [
        ((), set()),
        (("view_limitsnow",), {"counts"}),
        (("change_limitsnow",), {"counts", "reset"}),
        (("view_ratelimitrule",), {"rules"}),
        (("add_ratelimitrule",), {"add"}),
        (("view_ratelimitrule", "change_ratelimitrule"), {"rules", "change"}),
    ],
)
def test_each_needs_its_permission(
    alice: User, permissions: tuple[str, ...], allowed: set[str]
) -> None:
    rule = rule_of(user=alice, limiter="search", windows="7/min")
    client = staff(*permissions)
    check("search", Subject.user(alice.pk))
    change = reverse("admin:ratelimits_ratelimitrule_change", args=[rule.pk])
    assert (client.get(COUNTS).status_code == 200) == ("counts" in allowed)
    assert (client.get(ADD).status_code == 200) == ("add" in allowed)
    assert (client.get(RULES).status_code == 200) == ("rules" in allowed)
    client.post(change, form(windows="8/min"))
    rule.refresh_from_db()
    assert (rule.windows == "8/minute") == ("change" in allowed)
    client.post(RULES, {"action": "remove", "_selected_action": [rule.pk], "confirmed": "yes"})
    assert RateLimitRule.objects.exists()
    status = client.post(RESET, {"who": "alice@example.com"}).status_code
    assert (status == 302) == ("reset" in allowed)
    assert AuditEntry.objects.filter(action="limit.reset").exists() == ("reset" in allowed)


def test_it_asks_the_same_of_the_database_for_much(operator: Client, alice: User) -> None:
    from django.db import connection

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            operator.get(COUNTS, {"who": "alice@example.com"})
        return len(captured)

    queries()
    few = queries()
    for number in range(30):
        until = timezone.now() + timedelta(hours=1)
        rule_of(network=f"10.0.0.{number}", blocked_until=until)
        Offender.objects.create(network=f"10.0.1.{number}/32", limiter="search", user=alice)
    queries()
    assert queries() <= few + 1
