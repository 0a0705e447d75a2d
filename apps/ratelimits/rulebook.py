"""The rules of this process: what is laid down for one user, organization, key or address.

A copy of all rules is kept in memory. The stamp of their last change rides in every answer of the
store; a process that hears of another one than it knows reads the rules anew. One that heard
nothing for HEARD_SECONDS asks Redis for it; without Redis the rules are read anew that often. So a
rule is in force everywhere within two seconds, and a request costs no query.
"""

import logging
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from typing import NamedTuple

from django.db import DatabaseError, InterfaceError, transaction
from django.utils import timezone

from apps.ratelimits.models import RateLimitRule
from apps.ratelimits.stores import store
from apps.ratelimits.subjects import Kind, Subject
from apps.ratelimits.windows import Window, parse_windows

logger = logging.getLogger(__name__)

HEARD_SECONDS = 1.5
"""So long the rules are taken to be those that they were when the stamp was last heard."""
OLDEST_SECONDS = 2.0
"""Nobody decides by older ones."""
READ_SECONDS = 30.0
"""They are read anew this often even though the stamp is the same: who changed one may not have
reached Redis."""
FIRST = (Kind.KEY, Kind.USER, Kind.ACCOUNT, Kind.SESSION, Kind.ORGANIZATION, Kind.ADDRESS)
RANK = {kind: place for place, kind in enumerate((*FIRST, Kind.EVERYTHING))}
"""The most particular first."""


class Ruling(NamedTuple):
    """What a rule lays down: other windows (none: unlimited), or no requests at all until
    `blocked_until` (Unix seconds). In `shadow` it only counts what it would refuse."""

    windows: tuple[Window, ...] = ()
    blocked_until: float = 0.0
    shadow: bool = False
    number: int = 0
    """The rule's."""
    until: float = float("inf")
    """When it ends, Unix seconds."""


class _Rules:
    """All rules as they were read, by whom they are for."""

    def __init__(self, rules: Sequence[RateLimitRule] = ()) -> None:
        self._exact = defaultdict[tuple[str, str], list[Ruling]](list)
        self._networks = defaultdict[tuple[int, int], dict[tuple[str, int], list[Ruling]]](dict)
        for rule in rules:
            if rule.network:
                self._add_network(rule)
            else:
                self._exact[rule.limiter, subject_of(rule).key].append(_ruling(rule))
        # A smaller network is shifted by less.
        shifts = sorted(self._networks)
        self._shifts = {of: [each for version, each in shifts if version == of] for of in (4, 6)}
        self._named = {key for _, key in self._exact}
        self.holds = {rule.shadow for rule in rules}
        """Whether there are any that are tried (True), or for real (False)."""

    def _add_network(self, rule: RateLimitRule) -> None:
        network = ip_network(rule.network)
        shift = network.max_prefixlen - network.prefixlen
        place = (rule.limiter, int(network.network_address) >> shift)
        self._networks[network.version, shift].setdefault(place, []).append(_ruling(rule))

    def may_concern(self, subject: Subject) -> bool:
        """False for whom there is surely no rule: nearly all, and told quickly."""
        if subject.key in self._named:
            return True
        return subject.ip is not None and bool(self._shifts[subject.ip.version])

    def of(self, name: str, subject: Subject) -> Iterator[Ruling]:
        """For `subject`, the most particular first: of the smaller network, of the one limiter."""
        yield from self._exact.get((name, subject.key), ())
        yield from self._exact.get(("", subject.key), ())
        if subject.ip is not None:
            address, version = int(subject.ip), subject.ip.version
            for shift in self._shifts[version]:
                found = self._networks[version, shift]
                yield from found.get((name, address >> shift), ())
                yield from found.get(("", address >> shift), ())


class Rulebook:
    """The copy of this process, and how old it is."""

    def __init__(self, *, is_new: bool = False) -> None:
        """Of an installation that `is_new` it is known that there are no rules yet."""
        self._rules = _Rules()
        self._stamp = new_stamp() if is_new else ""
        self._heard_at = self._read_at = self._failed_at = float("-inf")
        if is_new:
            self._heard_at = self._read_at = time.monotonic()
        self._lock = threading.Lock()

    def find(self, name: str, subjects: Sequence[Subject], *, shadow: bool) -> Ruling | None:
        rules = self._rules
        if shadow not in rules.holds:
            return None
        concerned = [each for each in subjects if rules.may_concern(each)]
        if not concerned:
            return None
        now = time.time()
        for subject in sorted(concerned, key=lambda each: RANK[each.kind]):
            for ruling in rules.of(name, subject):
                if ruling.shadow is shadow and ruling.until > now:
                    return ruling
        return None

    def refresh(self) -> None:
        """Asks for the stamp, or reads the rules, if nothing was heard for HEARD_SECONDS; one
        thread does, and others wait for it only where they would decide by rules that are older
        than they may be."""
        silent = time.monotonic() - self._heard_at
        if silent >= HEARD_SECONDS and self._lock.acquire(blocking=silent >= OLDEST_SECONDS):
            try:
                self._renew()
            finally:
                self._lock.release()

    def heard(self, stamp: str) -> None:
        """Takes note of the stamp that an answer of the store brought, "" for unknown."""
        if not stamp or self._lock.locked():
            return
        now = time.monotonic()
        if stamp == self._stamp and now - self._read_at < READ_SECONDS:
            self._heard_at = now
        elif now - self._failed_at > HEARD_SECONDS and self._lock.acquire(blocking=False):
            try:
                self._read(stamp)
            finally:
                self._lock.release()

    def _renew(self) -> None:
        now = time.monotonic()
        if now - self._heard_at < HEARD_SECONDS:
            return  # somebody was faster
        mine = self._stamp or new_stamp()
        stamp = store().ask(lambda redis: redis.stamp(or_else=mine))
        is_known = stamp is not None and stamp == self._stamp
        if is_known and now - self._read_at < READ_SECONDS:
            self._heard_at = now
        else:
            self._read(stamp or "")

    def _read(self, stamp: str) -> None:
        """Reads all rules; what is changed while they are read has another stamp than `stamp`."""
        now = time.monotonic()
        try:
            rules = _Rules(list(RateLimitRule.objects.in_force(timezone.now())))
        except (DatabaseError, InterfaceError) as error:
            logger.warning("limits: the rules cannot be read, so those known hold on (%s)", error)
            self._failed_at = now
        else:
            self._rules, self._stamp = rules, stamp
        self._heard_at = self._read_at = now

    def forget(self) -> None:
        """Reads the rules before it is asked again."""
        self._heard_at = float("-inf")
        self._stamp = ""


book = Rulebook()


def ruling(name: str, subjects: Sequence[Subject]) -> Ruling | None:
    """The rule for the limiter `name` of the most particular of `subjects` that has one; no shadow.
    Asks no database."""
    return book.find(name, subjects, shadow=False)


def shadow(name: str, subjects: Sequence[Subject]) -> Ruling | None:
    """The same of shadows: what is only tried."""
    return book.find(name, subjects, shadow=True)


def refresh() -> None:
    """Before rules are looked up: sees to it that they are not older than HEARD_SECONDS."""
    book.refresh()


def read() -> None:
    """Sees to it that the rules are those of now. A query."""
    book.forget()
    book.refresh()


def heard(stamp: str) -> None:
    """Takes note of the rules' version that an answer of the store brought, "" for unknown."""
    book.heard(stamp)


def changed() -> None:
    """Tells every process, once the transaction is committed, that there are other rules."""
    transaction.on_commit(_tell, robust=True)


def _tell() -> None:
    stamp = new_stamp()
    store().ask(lambda redis: redis.restamp(stamp))
    book.forget()


def new_stamp() -> str:
    return secrets.token_hex(8)


def subject_of(rule: RateLimitRule) -> Subject:
    """Whom a rule is for that is for no network."""
    if rule.user_id:
        return Subject.user(rule.user_id)
    if rule.organization_id:
        return Subject.organization(rule.organization_id)
    assert rule.key_id
    return Subject.api_key(rule.key_id)


def _ruling(rule: RateLimitRule) -> Ruling:
    ends = [each.timestamp() for each in (rule.expires_at, rule.blocked_until) if each]
    return Ruling(
        windows=parse_windows(rule.windows) if rule.windows else (),
        blocked_until=rule.blocked_until.timestamp() if rule.blocked_until else 0.0,
        shadow=rule.shadow,
        number=rule.pk,
        until=min(ends, default=float("inf")),
    )
