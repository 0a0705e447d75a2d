"""What is counted right now, of one user, organization, key or address; who is refused now."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_network
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import ApiKey, Organization, User
from apps.ratelimits import rulebook
from apps.ratelimits.decision import Part, Standing
from apps.ratelimits.limiters import Limiter, limiters
from apps.ratelimits.models import Offender, RateLimitRule
from apps.ratelimits.rulebook import Ruling
from apps.ratelimits.services import peek, reset_limit
from apps.ratelimits.stores import store
from apps.ratelimits.subjects import Kind, Subject
from apps.ratelimits.whom import Whom

SHOWN = 200
"""Rules and refusals that are shown at the most, each."""
ANONYMOUS = {Kind.ADDRESS: "an address", Kind.ACCOUNT: "an account", Kind.SESSION: "a session"}
"""What is hashed in Redis, and cannot be named from what stands there."""


@dataclass(frozen=True)
class Count:
    """A limiter for one of the subjects of whom was asked about. `windows` are empty while it is
    unlimited or blocked; `source` says where was counted: `redis`, or what stands in for it."""

    limiter: Limiter
    subject: Subject
    ruling: Ruling | None
    windows: tuple[Standing, ...]
    source: str

    @property
    def blocked_until(self) -> datetime | None:
        ruled = self.ruling.blocked_until if self.ruling else 0
        return datetime.fromtimestamp(ruled, UTC) if ruled > time.time() else None

    @property
    def state(self) -> str:
        """In a word: `blocked`, `unlimited`, `full` or `open`."""
        if self.blocked_until:
            return "blocked"
        if not self.windows:
            return "unlimited"
        return "full" if any(not each.remaining for each in self.windows) else "open"


@dataclass(frozen=True)
class Refused:
    """Who has no room left in a limiter, until when."""

    limiter: str
    name: str
    search: str
    until: datetime


def counts_of(whom: Whom) -> list[Count]:
    """Every limiter that counts them, as it is now. Counts nothing."""
    return [
        _count(limiter, subject, whom)
        for limiter in limiters().values()
        for kind in limiter.per
        if (subject := whom.of(kind))
    ]


def _count(limiter: Limiter, subject: Subject, whom: Whom) -> Count:
    # Who is not signed in yet is nobody whose rules could hold.
    caller = () if subject.kind is Kind.ACCOUNT else whom.caller
    decision = peek([(limiter.name, subject)], caller=caller)
    parts: Iterator[Part] = (part for part in decision.parts if not part.shadow)
    part = next(parts, None)
    return Count(
        limiter=limiter,
        subject=subject,
        ruling=rulebook.ruling(limiter.name, (subject, *caller)),
        windows=part.windows if part else (),
        source=decision.source,
    )


@transaction.atomic
def reset(*, by: User | None, whom: Whom, name: str = "", reason: str = "") -> list[str]:
    """The counts of one limiter, or of all, begin anew for `whom`, in every process within a
    second. The names of the limiters that were reset; none where none of them counts `whom`.
    Raises Unavailable while Redis is away."""
    done = []
    for limiter in limiters().values():
        for kind in limiter.per:
            subject = whom.of(kind)
            if subject and name in ("", limiter.name):
                reset_limit(
                    actor=by,
                    name=limiter.name,
                    subject=subject,
                    caller=whom.caller,
                    told=whom.name,
                    reason=reason,
                )
                done.append(limiter.name)
    return list(dict.fromkeys(done))


def rules_about(whom: Whom) -> list[RateLimitRule]:
    """All rules for them or for one of `caller`, also those that are not in force."""
    keys = {subject.key for subject in (*whom.subjects, *whom.caller)}
    ips = [each.ip for each in whom.subjects if each.ip is not None]
    rules = RateLimitRule.objects.select_related("user", "organization", "key", "made_by")
    rules = rules.exclude(network="") if "network" in whom.target else rules.filter(network="")
    found = []
    for rule in rules.order_by("-id").iterator():
        if rule.network:
            network = ip_network(rule.network)
            is_theirs = whom.target.get("network") == rule.network
            is_theirs = is_theirs or any(ip in network for ip in ips)
        else:
            is_theirs = rulebook.subject_of(rule).key in keys
        if is_theirs:
            found.append(rule)
    return found[:SHOWN]


def blocks_now() -> list[RateLimitRule]:
    """The rules that refuse everything now, the latest first."""
    rules = RateLimitRule.objects.blocking(timezone.now()).order_by("-id")
    return list(rules.select_related("user", "organization", "key", "made_by")[:SHOWN])


def refused_now() -> list[Refused] | None:
    """Who has no room left now, who waits longest first; None while Redis is away, or where there
    is none."""
    found = store().ask(lambda redis: redis.refused(SHOWN))
    if found is None:
        return None
    keys = [key.split(":")[1] for key, _ in found]
    names = _names(keys)
    return [
        Refused(key.split(":")[0], *names[subject], datetime.fromtimestamp(until, UTC))
        for (key, until), subject in zip(found, keys, strict=True)
    ]


def _names(keys: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Key of a subject -> its name, and what finds it ("": nothing does)."""
    addresses = {Subject.address(text).key: text for text in _known_addresses()}
    users = User.objects.in_bulk([int(key[1:]) for key in keys if key[0] == Kind.USER])
    organizations = Organization.objects.in_bulk(_ids(keys, Kind.ORGANIZATION))
    api_keys = ApiKey.objects.in_bulk(_ids(keys, Kind.KEY))
    found: dict[str, tuple[str, str]] = {}
    for key in keys:
        if key in addresses:
            found[key] = (addresses[key], addresses[key])
        elif key[0] == Kind.USER and (user := users.get(int(key[1:]))):
            found[key] = (user.email, user.email)
        elif key[0] == Kind.ORGANIZATION and (row := organizations.get(UUID(key[1:]))):
            found[key] = (row.name, str(row.pk))
        elif key[0] == Kind.KEY and (api_key := api_keys.get(UUID(key[1:]))):
            found[key] = (str(api_key), str(api_key.pk))
        elif key == Kind.EVERYTHING:
            found[key] = ("all requests together", "everything")
        else:
            found[key] = (ANONYMOUS.get(Kind(key[0]), "somebody who is gone"), "")
    return found


def _ids(keys: Sequence[str], kind: Kind) -> list[UUID]:
    return [UUID(key[1:]) for key in keys if key != Kind.EVERYTHING and key[0] == kind]


def _known_addresses() -> list[str]:
    """Single addresses that were noticed, or have a rule: the only ones that are known by name."""
    noticed = Offender.objects.order_by("-last_at").values_list("network", flat=True)[:SHOWN]
    ruled = RateLimitRule.objects.exclude(network="").order_by("-id")[:SHOWN]
    texts = [*noticed, *ruled.values_list("network", flat=True)]
    return [text.partition("/")[0] for text in texts if text.endswith(("/32", "/64"))]


def is_off() -> bool:
    """Whether no limit counts or refuses anything."""
    return not settings.ENABLE_RATE_LIMITING
