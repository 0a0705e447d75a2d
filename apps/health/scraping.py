"""`/metrics`: what Prometheus asks for, and who may."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from apps.core import metric_files, metrics
from apps.core.addresses import parse_networks
from apps.core.clients import client_address, parse_address
from apps.core.errors import DocmillError
from apps.core.problems import method_not_allowed, problem
from apps.health import readings
from apps.health.errors import MetricsForbidden, MetricsOff, MetricsUnreadable
from apps.ratelimits.decorators import never_limited

PATH = "/metrics"
RETRY_SECONDS = 5

_networks = lru_cache(maxsize=4)(parse_networks)


class _Collected:
    """As a registry of prometheus_client has it."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def exposition(*, with_shared: bool = True) -> bytes:
    """Everything in Prometheus' text format; without what all machines read from the same database
    unless `with_shared`. Raises MetricsOff, MetricsUnreadable."""
    if not settings.ENABLE_METRICS:
        raise MetricsOff("ENABLE_METRICS is false.")
    try:
        counted = list(metrics.families(metric_files.totals(settings.METRICS_DIR)))
    except (OSError, metric_files.Busy) as error:
        why = "Another process has it." if isinstance(error, metric_files.Busy) else "See its log."
        raise MetricsUnreadable(why, retry_after=RETRY_SECONDS) from error
    read = readings.families() if with_shared else ()
    return generate_latest(_Collected(chain(counted, read)))


def may_read(authorization: str, address: str) -> bool:
    """Whether who shows that header, from that address, may read without a session."""
    scheme, _, given = authorization.partition(" ")
    if settings.METRICS_TOKEN and scheme.lower() == "bearer":
        return constant_time_compare(given.strip(), settings.METRICS_TOKEN)
    ip = parse_address(address)
    networks = _networks(tuple(settings.METRICS_ALLOWED_NETWORKS))
    return ip is not None and any(ip in network for network in networks)


def is_scraper(request: HttpRequest) -> bool:
    """Whether to answer before there is a session, whatever the host: it asks by address.

    What a proxy brings that is not in TRUSTED_PROXIES has no address that is known: nobody is to be
    let in by that of the proxy.
    """
    if request.path_info != PATH:
        return False
    address = client_address(request)
    is_peer = address == request.META.get("REMOTE_ADDR", "")
    known = "" if is_peer and "X-Forwarded-For" in request.headers else address
    return may_read(request.headers.get("Authorization", ""), known)


@never_limited
def view(request: HttpRequest) -> HttpResponse:
    """What was counted and what is now: for who may by `may_read`, and for staff."""
    if request.method not in ("GET", "HEAD"):
        return method_not_allowed(str(request.method), "GET", "HEAD")
    try:
        if not (is_scraper(request) or request.user.is_staff):
            raise MetricsForbidden(
                "Show METRICS_TOKEN as a bearer token, ask from METRICS_ALLOWED_NETWORKS, or sign "
                "in as staff."
            )
        body = exposition()
    except DocmillError as error:
        return problem(error)
    response = HttpResponse(body, content_type=CONTENT_TYPE_PLAIN_0_0_4)
    response["Cache-Control"] = "no-store"
    return response
