"""Repeated abuse: an address that is refused 20 times in ten minutes is noticed, perhaps blocked.

Refusals are counted like everything else, by a limit of its own that nobody is told of. An address
that is blocked already, or refused because Redis is away, or because all together are too many, is
not counted.
"""

import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_network

from django.conf import settings
from django.db import DatabaseError, InterfaceError, transaction
from django.utils import timezone

from apps.core.clients import trusted_networks
from apps.core.errors import InvalidInput
from apps.ratelimits.decision import Decision
from apps.ratelimits.ledger import Ask
from apps.ratelimits.models import Offender
from apps.ratelimits.networks import Network, parse_network
from apps.ratelimits.rules import add_rule
from apps.ratelimits.stores import store
from apps.ratelimits.subjects import Kind, Subject
from apps.ratelimits.windows import Window

logger = logging.getLogger(__name__)

REFUSALS = 20
SPAN = timedelta(minutes=10)
WINDOW = Window(REFUSALS - 1, int(SPAN.total_seconds()))
"""The refusal that finds no room any more is the one that is noticed."""
FIRST_BLOCK = timedelta(hours=1)
LONGER = 4
LONGEST_BLOCK = timedelta(days=7)
MAX_NOTICED = 10_000
THIS_MACHINE = (ip_network("127.0.0.0/8"), ip_network("::1"))

_noticed: dict[str, float] = {}
"""Addresses that this process need not count for a while -> until when, by the monotonic clock."""


def note(decision: Decision, subjects: Sequence[Subject]) -> None:
    """Counts a refusal of `subjects`; never raises because something is away."""
    address = next((each for each in subjects if each.ip is not None), None)
    refusing = [part for part in decision.parts if part.is_refusing]
    theirs = [part for part in refusing if part.kind != Kind.EVERYTHING.word]
    if address is None or not theirs or decision.is_away:
        return
    now = time.monotonic()
    if _noticed.get(address.key, 0) > now:
        return
    if store().decide([Ask(f"abuse:{address.key}", (WINDOW,))], hit=True).allowed:
        return
    if len(_noticed) >= MAX_NOTICED:
        _noticed.clear()
    _noticed[address.key] = now + SPAN.total_seconds()
    user = next((int(each.key[1:]) for each in subjects if each.kind is Kind.USER), None)
    try:
        notice(parse_network(str(address.ip)), user_id=user, limiter=theirs[0].limiter)
    except (DatabaseError, InterfaceError) as error:
        logger.warning("limits: what was noticed cannot be written down (%s)", error)


@transaction.atomic
def notice(network: Network, *, user_id: int | None, limiter: str) -> None:
    """Writes down that `network`, an address, was refused again and again; once in ten minutes,
    whoever notices it. Blocks it if the settings say so."""
    now = timezone.now()
    row, is_new = Offender.objects.select_for_update().get_or_create(
        network=str(network), defaults={"limiter": limiter}
    )
    if not is_new and now - row.last_at < SPAN:
        return
    row.user_id, row.limiter, row.last_at = user_id, limiter, now
    row.times += 1
    if settings.LIMITS_BLOCK_ABUSE and not _is_ours(network):
        _block(row)
    row.save()
    logger.warning("limits: an address was refused %d times in ten minutes", REFUSALS)


def block_time(blocks: int) -> timedelta:
    """How long an address is blocked that was blocked `blocks` times before."""
    longer: int = LONGER ** min(blocks, 10)
    return min(FIRST_BLOCK * longer, LONGEST_BLOCK)


def _block(row: Offender) -> None:
    span = block_time(row.blocks)
    told = f"{REFUSALS} refusals in 10 minutes, the last of them by {row.limiter}"
    more = f"; blocked {row.blocks} times before" if row.blocks else ""
    try:
        with transaction.atomic():
            until = timezone.now() + span
            add_rule(by=None, network=row.network, blocked_until=until, reason=told + more)
    except InvalidInput:
        return  # an operator has laid down something for it
    row.blocks += 1


def _is_ours(network: Network) -> bool:
    """Whether it is this machine or a proxy: behind those is everybody."""
    ours = (*THIS_MACHINE, *trusted_networks(settings.TRUSTED_PROXIES))
    return any(each.version == network.version and each.overlaps(network) for each in ours)
