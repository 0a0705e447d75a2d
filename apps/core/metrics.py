"""Counters, gauges, histograms and timers, and what they come to over all processes.

An app names its own in its `metrics.py`, which is found by that name. Labels take few values: never
an id, a name that somebody chose, or a text.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from django.conf import settings
from django.db import transaction
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.core import Metric
from prometheus_client.utils import floatToGoString

from apps.core import metric_files
from apps.core.exchange import Exchange
from apps.core.metric_files import Numbers
from apps.core.pool import pool_state

values.ValueClass = metric_files.Value
if settings.ENABLE_METRICS:
    metric_files.write_into(settings.METRICS_DIR)

AnyMetric = Counter | Gauge | Histogram
M = TypeVar("M", Counter, Gauge, Histogram)

QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds, for what somebody waits for."""
QUERIES = (0.005, 0.05, 0.5, 5.0)
"""Few, for there are many tables."""
LONG = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Seconds, for work and for waiting in line."""

_defined: dict[str, "Defined"] = {}
_registry = CollectorRegistry()  # refuses a name that is taken


class Defined:
    """A metric as its app named it. `name` is the whole one, as it is asked for: `..._total`."""

    bounds: frozenset[str] = frozenset()

    def __init__(self, name: str, kind: str, about: str, labels: Sequence[str]) -> None:
        self.name, self.kind, self.about, self.labels = name, kind, about, tuple(labels)

    def takes(self, labels: Iterable[str]) -> bool:
        return set(labels) == set(self.labels)


def counter(name: str, about: str, *labels: str) -> Counter:
    """Something that happened; `name` ends in `_total`."""
    made = Counter(name, about, labels, registry=_registry)
    _defined[name] = Defined(name, "counter", about, labels)
    return made


def gauge(name: str, about: str, *labels: str) -> Gauge:
    """How much of something a process has now; all living processes together are told."""
    made = Gauge(name, about, labels, registry=_registry, multiprocess_mode="livesum")
    _defined[name] = Defined(name, "gauge", about, labels)
    return made


def histogram(name: str, about: str, *labels: str, buckets: Sequence[float]) -> Histogram:
    """How long something took, or how large it was: how many were within each of `buckets`."""
    made = Histogram(name, about, labels, registry=_registry, buckets=buckets)
    defined = Defined(name, "histogram", about, labels)
    defined.bounds = frozenset(map(floatToGoString, (*buckets, float("inf"))))
    _defined[name] = defined
    return made


def read_gauge(name: str, about: str, *labels: str) -> Defined:
    """One that is read when somebody asks: from the database, or of the machine."""
    _defined[name] = Defined(name, "gauge", about, labels)
    return _defined[name]


def defined() -> Mapping[str, Defined]:
    """Every metric by its name, in the order in which they were named."""
    return _defined


def on_commit(metric: Counter, *labels: str, count: int = 1) -> None:
    """Counts once the transaction is committed; at once where there is none."""
    if count:
        transaction.on_commit(lambda: metric.labels(*labels).inc(count), robust=True)


# --- what this floor counts -----------------------------------------------------------------------

REQUESTS = counter("docmill_http_requests_total", "Answered requests.", "method", "route", "status")
REQUEST_SECONDS = histogram(
    "docmill_http_request_seconds",
    "Seconds from a request to the head of its answer.",
    "method",
    "route",
    buckets=QUICK,
)
TOO_SLOW = counter(
    "docmill_http_requests_too_slow_total",
    "Requests that were not done within REQUEST_TIMEOUT_SECONDS, and answered 503.",
)
QUERY_SECONDS = histogram(
    "docmill_database_query_seconds",
    "Seconds that statements took the database.",
    "operation",
    "table",
    buckets=QUERIES,
)
SLOW_QUERIES = counter(
    "docmill_database_slow_queries_total",
    "Statements that took longer than SLOW_QUERY_MS.",
    "operation",
    "table",
)
POOL = gauge(
    "docmill_database_pool",
    "Pooled connections to PostgreSQL of the web processes, and threads that wait for one.",
    "state",
)
CALL_SECONDS = histogram(
    "docmill_external_call_seconds",
    "Seconds that calls to other services took.",
    "service",
    "outcome",
    buckets=QUICK,
)

POOL_SECONDS = 1.0
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PROBES = frozenset({"/health", "/api/health", "/health/live", "/health/ready", "/metrics"})
"""Answered before it is looked up where they lead."""
STATIC = "(static)"
REFUSED = "(refused)"
NOWHERE = "(nowhere)"
"""The route of a request that leads to no page of ours, whatever its address."""
OK, FAILED = "ok", "failed"


def count_request(exchange: Exchange) -> None:
    """One of settings.REQUEST_LISTENERS."""
    method = _method(exchange.method)
    route = exchange.route or NOWHERE
    if exchange.path in PROBES:
        route = exchange.path.lstrip("/")
    elif not exchange.route and exchange.path.startswith(settings.STATIC_URL):
        route = STATIC
    REQUESTS.labels(method, route, f"{exchange.status // 100}xx").inc()
    REQUEST_SECONDS.labels(method, route).observe(exchange.answer_seconds)
    _note_pool()


def count_refused(method: str) -> None:
    """One that no thread had time for."""
    REQUESTS.labels(_method(method), REFUSED, "5xx").inc()


def _method(name: str) -> str:
    return name if name in METHODS else "OTHER"


_pool_noted_at = 0.0


def _note_pool() -> None:
    """What the pool of this process is doing, once a second at the most."""
    global _pool_noted_at  # noqa: PLW0603
    now = time.monotonic()
    if now - _pool_noted_at >= POOL_SECONDS and (state := pool_state()):
        _pool_noted_at = now
        for name in ("in_use", "idle", "waiting"):
            POOL.labels(name).set(state[name])


class Call:
    """A call to another service. `outcome` may be set to say more than that it raised nothing."""

    outcome = OK


@contextmanager
def external_call(service: str) -> Iterator[Call]:
    """Times what is within: `failed` where that raises."""
    call, began = Call(), time.perf_counter()
    try:
        yield call
    except Exception:
        call.outcome = FAILED if call.outcome == OK else call.outcome
        raise
    finally:
        CALL_SECONDS.labels(service, call.outcome).observe(time.perf_counter() - began)


# --- what they come to ----------------------------------------------------------------------------


def families(numbers: Numbers) -> Iterator[Metric]:
    """What was counted, by metric; nothing of a metric that is not named any more, or otherwise."""
    found: dict[str, dict[tuple[str, ...], dict[str, float]]] = {}
    for (kind, key), number in numbers.items():
        sample, labels = metric_files.parsed(key)
        name = sample
        if kind == "histogram":
            name = sample.removesuffix("_sum").removesuffix("_bucket")
        own = labels.copy()
        part = own.pop("le", "sum") if kind == "histogram" else ""
        metric = _defined.get(name)
        if metric and metric.kind == kind and metric.takes(own):
            at = tuple(own[label] for label in metric.labels)
            parts = found.setdefault(name, {}).setdefault(at, {})
            parts[part] = parts.get(part, 0.0) + number
    for metric in _defined.values():
        family = _family(metric, found.get(metric.name, {}))
        if family.samples:
            yield family


def read_family(metric: Defined, read: Mapping[tuple[str, ...], float]) -> Metric:
    """What was read of a gauge, by the values of its labels in order."""
    return _family(metric, {at: {"": number} for at, number in read.items()})


def _family(metric: Defined, found: dict[tuple[str, ...], dict[str, float]]) -> Metric:
    family = Metric(metric.name.removesuffix("_total"), metric.about, metric.kind)
    if not metric.labels and not found and metric.kind == "counter":
        found = {(): {"": 0.0}}  # so that the first time is seen to be one more
    for at, parts in sorted(found.items()):
        labels = dict(zip(metric.labels, at, strict=True))
        if metric.kind == "histogram":
            _add_histogram(family, metric, labels, parts)
        else:
            family.add_sample(metric.name, labels, parts[""])
    return family


def _add_histogram(
    family: Metric, metric: Defined, labels: dict[str, Any], parts: dict[str, float]
) -> None:
    total = 0.0
    for bound in sorted(metric.bounds, key=float):
        total += parts.get(bound, 0.0)
        family.add_sample(f"{metric.name}_bucket", labels | {"le": bound}, total)
    family.add_sample(f"{metric.name}_count", labels, total)
    family.add_sample(f"{metric.name}_sum", labels, parts.get("sum", 0.0))
