"""The limits of one request: who asks, what was counted for it, and what its answer tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.http import HttpRequest
from rest_framework.request import Request

from apps.accounts.actor import Actor
from apps.accounts.errors import Forbidden
from apps.core.clients import client_address
from apps.ratelimits import decision, services
from apps.ratelimits.decision import Decision
from apps.ratelimits.limiters import limiter
from apps.ratelimits.services import Pair
from apps.ratelimits.subjects import EVERYTHING, Kind, Subject

logger = structlog.stdlib.get_logger(__name__)

AnyRequest = HttpRequest | Request
GLOBAL: Pair = ("global", EVERYTHING)
SIGNED_OUT = "anonymous"
"""What counts of who is not signed in, in place of every limiter that counts who is."""


@dataclass(frozen=True)
class Caller:
    """Who asks, by kind of subject: always an address, and more of who is signed in.

    `key` stands in place of the user and of the session where there is one: a script that runs
    wild does not lock its owner out of the pages.
    """

    subjects: dict[Kind, Subject]

    @classmethod
    def of(cls, request: AnyRequest) -> "Caller":
        subjects = {Kind.ADDRESS: Subject.address(client_address(_plain(request)))}
        if not request.user.is_authenticated:
            return cls(subjects)
        subjects[Kind.USER] = Subject.user(request.user.pk)
        session = getattr(_plain(request), "session", None)
        if session_key := getattr(session, "session_key", None):
            subjects[Kind.SESSION] = Subject.session(session_key)
        try:
            actor = Actor.of_request(request)
        except Forbidden:  # a member of nothing
            return cls(subjects)
        subjects[Kind.ORGANIZATION] = Subject.organization(actor.organization.pk)
        if actor.key is not None:
            subjects[Kind.KEY] = Subject.api_key(actor.key.pk)
        return cls(subjects)

    @property
    def is_signed_in(self) -> bool:
        return Kind.USER in self.subjects

    @property
    def ruled_by(self) -> list[Subject]:
        """Those whose rules apply to whatever is counted, the most particular first."""
        kinds = (Kind.KEY, Kind.USER, Kind.ORGANIZATION, Kind.ADDRESS)
        return [self.subjects[kind] for kind in kinds if kind in self.subjects]

    def pair(self, name: str) -> Pair:
        """Whom the limiter `name` counts here."""
        per = limiter(name).per
        if Kind.EVERYTHING in per:
            return (name, EVERYTHING)
        if Kind.ADDRESS in per:
            return (name, self.subjects[Kind.ADDRESS])
        if not self.is_signed_in:
            return (SIGNED_OUT, self.subjects[Kind.ADDRESS])
        wanted = per if Kind.ORGANIZATION in per else (Kind.KEY, *per)
        found = [self.subjects[kind] for kind in wanted if kind in self.subjects]
        return (name, found[0] if found else self.subjects[Kind.USER])


def count(request: AnyRequest, *names: str) -> Decision:
    """Counts the request for the limiters `names`, each for whom it counts: in one round trip, all
    or nothing. The first time also for all requests together. Raises TooManyRequests."""
    caller = Caller.of(request)
    return count_pairs(request, [caller.pair(name) for name in names], caller.ruled_by)


def count_pairs(
    request: AnyRequest, pairs: Sequence[Pair], ruled_by: Sequence[Subject] = ()
) -> Decision:
    """The same for subjects that the request itself does not tell. Raises TooManyRequests."""
    noted = decisions_of(request)
    wanted = dict.fromkeys([*pairs, GLOBAL] if not noted else pairs)
    made = services.check_all(list(wanted), caller=ruled_by)
    noted.append(made)
    if not made.allowed:
        note_refusal(made)
    return services.require(made)


def note_refusal(made: Decision) -> None:
    """The line of a request that limits refused."""
    refusing = [part for part in made.parts if part.is_refusing]
    logger.info(
        "limit hit",
        limiters=[part.limiter for part in refusing],
        wait_seconds=max((part.wait_ms for part in refusing), default=0) / 1000,
    )


def give_back(request: AnyRequest, *names: str) -> None:
    """What the limiters `names` counted for the request does not count after all, and its answer
    tells nothing of it."""
    noted = decisions_of(request)
    for index, made in enumerate(noted):
        if made.allowed and any(part.limiter in names for part in made.parts):
            services.refund(made, *names)
            rest = tuple(part for part in made.parts if part.limiter not in names)
            noted[index] = made._replace(parts=rest)


def decisions_of(request: AnyRequest) -> list[Decision]:
    """What was decided for the request so far."""
    plain: Any = _plain(request)
    try:
        noted: list[Decision] = plain._docmill_decisions
    except AttributeError:
        noted = plain._docmill_decisions = []
    return noted


def headers_of(request: AnyRequest) -> dict[str, str]:
    """What the answer to the request tells of its limits. Asked for several times, it is put
    together once for the same decisions."""
    plain: Any = _plain(request)
    noted = decisions_of(request)
    told = getattr(plain, "_docmill_limit_headers", None)
    if told is None or told[0] != noted:
        told = plain._docmill_limit_headers = (list(noted), decision.headers(noted))
    headers: dict[str, str] = told[1]
    return headers


def _plain(request: AnyRequest) -> HttpRequest:
    """Django's own request, which middleware and Django REST framework share."""
    return request._request if isinstance(request, Request) else request
