"""`manage.py ratelimits`: what the limits are, who is at which count, and rules."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from apps.core.commands import OperatorCommand, user_of, verb
from apps.core.durations import UNITS
from apps.core.screens import Told
from apps.ratelimits import inspection, screens
from apps.ratelimits.limiters import TABLE, limiters
from apps.ratelimits.models import RateLimitRule
from apps.ratelimits.rules import add_rule, new_rule, remove_rule
from apps.ratelimits.whom import HELP, Whom, find
from apps.ratelimits.windows import EXAMPLE

WHO = f"{HELP} Or: everything."


class Command(OperatorCommand):
    help = """Show the limits and who is at which count; let counts begin anew; lay down rules.

  manage.py ratelimits list
  manage.py ratelimits show alice@example.com
  manage.py ratelimits reset alice@example.com --limiter search
  manage.py ratelimits rule add alice@example.com --limiter search --windows 200/min --reason "Demo"
  manage.py ratelimits rule add 203.0.113.0/24 --block-for 2h --reason "Guesses passwords"
  manage.py ratelimits rule list
  manage.py ratelimits rule remove 12

A rule is in force in every process within two seconds, a reset within one. Both are in the audit
log. What takes something from somebody is asked for first; --yes answers, --dry-run only says it.
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        verb(does, "list", self._list, "every limiter with its numbers")
        show = verb(does, "show", self._show, "every count of one user, organization, key, address")
        show.add_argument("who", metavar="WHO", help=WHO)
        reset = verb(does, "reset", self._reset, "let counts begin anew", changes=True)
        reset.add_argument("who", metavar="WHO", help=WHO)
        reset.add_argument("--limiter", choices=list(TABLE), default="", help="only this one")
        rule = does.add_parser("rule", help="list, add and remove rules")
        rules = rule.add_subparsers(dest="what", required=True)
        listing = verb(rules, "list", self._rule_list, "the rules in force")
        listing.add_argument("--all", action="store_true", help="also those that are off or over")
        _add_rule_arguments(verb(rules, "add", self._rule_add, "a new rule", changes=True))
        remove = verb(rules, "remove", self._rule_remove, "end a rule; lift a block", changes=True)
        remove.add_argument("id", type=int, metavar="ID")

    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)
        if inspection.is_off():
            self.stderr.write("Limits are off: ENABLE_RATE_LIMITING=false.", self.style.WARNING)

    def _list(self, options: dict[str, Any]) -> Told:
        return Told("limiters", [screens.limiter_row(each) for each in limiters().values()])

    def _show(self, options: dict[str, Any]) -> Told:
        whom = find(options["who"])
        counts = inspection.counts_of(whom)
        if any(each.source not in ("", "redis") for each in counts):
            told = "Redis is away: these are the counts of this process, or of the database."
            self.stderr.write(told, self.style.WARNING)
        rows = [row for each in counts for row in screens.count_rows(each)]
        rules = [screens.rule_row(each) for each in inspection.rules_about(whom)]
        return Told("counts", rows, name=whom.name, more={"rules": rules})

    def _reset(self, options: dict[str, Any]) -> Told:
        whom = find(options["who"])
        which = options["limiter"] or "every limiter"
        if self.may_go_on(f"Let the counts of {which} begin anew for {whom.name}", options):
            by, reason = user_of(options["user"]), options["reason"]
            done = inspection.reset(by=by, whom=whom, name=options["limiter"], reason=reason)
            if not done:
                raise CommandError(f"{which} does not count {whom.name}. Nothing was reset.")
        else:
            done = []
        return Told("reset", [{"limiter": name} for name in done], name=whom.name)

    def _rule_list(self, options: dict[str, Any]) -> Told:
        rules = RateLimitRule.objects.select_related("user", "organization", "key", "made_by")
        chosen = rules if options["all"] else rules.in_force(timezone.now())
        return Told("rules", [screens.rule_row(each) for each in chosen.order_by("-id")])

    def _rule_add(self, options: dict[str, Any]) -> Told:
        whom = find(options["who"])
        if not whom.target:
            raise CommandError("All requests together have no rule: LIMIT_GLOBAL sets the number.")
        fields = _fields(whom, options)
        rule = new_rule(**fields)
        if self.may_go_on(f"Rule for {rule}: {rule.effect}", options, asks=rule.is_block):
            rule = add_rule(by=user_of(options["user"]), **fields)
        return Told("rules", [screens.rule_row(rule)])

    def _rule_remove(self, options: dict[str, Any]) -> Told:
        rule = RateLimitRule.objects.filter(pk=options["id"]).first()
        if rule is None:
            raise CommandError(f"There is no rule {options['id']}. Nothing was removed.")
        told = screens.rule_row(rule)
        if self.may_go_on(f"Remove the rule for {rule}: {rule.effect}", options):
            remove_rule(by=user_of(options["user"]), rule=rule, reason=options["reason"])
        return Told("rules", [told])


def _add_rule_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("who", metavar="WHO", help=HELP)
    parser.add_argument("--limiter", choices=list(TABLE), default="", help="only this one")
    effect = parser.add_mutually_exclusive_group(required=True)
    effect.add_argument("--windows", metavar="TEXT", help=f"other numbers; {EXAMPLE}")
    effect.add_argument("--unlimited", action="store_true")
    effect.add_argument(
        "--block-for", type=_span, metavar="SPAN", help="no requests for 30m, 2h, 7d"
    )
    effect.add_argument(
        "--block-until", type=_moment, metavar="TIME", help="no requests until then"
    )
    parser.add_argument("--shadow", action="store_true", help="only count what it would refuse")
    ends = parser.add_mutually_exclusive_group()
    ends.add_argument("--expires-in", type=_span, metavar="SPAN", help="30m, 2h, 7d")
    ends.add_argument("--expires-at", type=_moment, metavar="TIME")


def _fields(whom: Whom, options: dict[str, Any]) -> dict[str, Any]:
    """Of the rule that is asked for."""
    now = timezone.now()

    def moment(at: str, span: str) -> datetime | None:
        lasts: timedelta | None = options[span]
        given: datetime | None = options[at]
        return now + lasts if lasts else given

    return {
        **whom.target,
        "limiter": options["limiter"],
        "windows": "unlimited" if options["unlimited"] else options["windows"] or "",
        "blocked_until": moment("block_until", "block_for"),
        "shadow": options["shadow"],
        "expires_at": moment("expires_at", "expires_in"),
        "reason": options["reason"],
    }


def _span(text: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    if not number.isdecimal() or unit not in UNITS or not 1 <= int(number) <= 100_000:
        raise ArgumentTypeError(f"a number and s, m, h or d, like 2h, not {text!r}")
    return timedelta(seconds=int(number) * UNITS[unit])


def _moment(text: str) -> datetime:
    try:
        moment = parse_datetime(text) or datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"a time like 2026-01-31T12:00Z, not {text!r}") from None
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
