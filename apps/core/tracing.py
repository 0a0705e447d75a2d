"""Traces by OpenTelemetry, of which the libraries are an extra: `pip install docmill[otel]`.

Nothing of it is imported, and every function here does nothing, unless OTEL_EXPORTER_OTLP_ENDPOINT
is set. All other variables are OpenTelemetry's own.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from multiprocessing.util import Finalize
from typing import Any, Self

from django.conf import settings

logger = logging.getLogger(__name__)

PACKAGES = (
    "opentelemetry.sdk",
    "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry.instrumentation.psycopg",
    "opentelemetry.instrumentation.redis",
)
KEPT = re.compile(
    r"docmill\.\w+|http\.(method|request\.method|status_code|response\.status_code|route)"
    r"|db\.(system|system\.name|statement|query\.text|operation|operation\.name|name|namespace)"
)
"""Names of attributes that are sent. Statements have places for values, not these."""
HINT = "Install it (pip install 'docmill[otel]'), or unset OTEL_EXPORTER_OTLP_ENDPOINT."
LONGEST = 55
"""Characters of a traceparent (W3C Trace Context, version 00)."""

_tracer: Any = None


def is_wanted() -> bool:
    """Whether the environment asks for traces."""
    is_off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return bool(settings.OTEL_EXPORTER_OTLP_ENDPOINT) and not is_off


def is_installed() -> bool:
    """Whether the extra is there."""
    try:
        return all(find_spec(name) for name in PACKAGES)
    except ModuleNotFoundError:
        return False


def start(version: str) -> None:
    """Begins to trace what this process does, if that is wanted and can be; once."""
    global _tracer  # noqa: PLW0603  (one for the process, as the library has it)
    if _tracer is not None or not is_wanted():
        return
    if not is_installed():
        logger.error("nothing is traced: OpenTelemetry is not installed. %s", HINT)
        return
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    told = {"service.version": version}
    if not os.environ.get("OTEL_SERVICE_NAME"):
        told["service.name"] = "docmill"
    provider = TracerProvider(resource=Resource.create(told))
    provider.add_span_processor(BatchSpanProcessor(_exporter()))
    trace.set_tracer_provider(provider)
    # What multiprocessing began, as the web server does its processes, never comes to atexit.
    Finalize(None, provider.shutdown, exitpriority=0)
    _instrument()
    _tracer = trace.get_tracer("docmill", version)


def _instrument() -> None:
    """Statements and calls of Redis. Requests have a span of our own: OpenTelemetry's for Django
    raises for paths beyond Latin-1 and for hosts that are not served."""
    from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
    from opentelemetry.instrumentation.redis import RedisInstrumentor

    PsycopgInstrumentor().instrument(skip_dep_check=True)
    RedisInstrumentor().instrument()


def _exporter() -> Any:
    """What sends spans, but for what may tell of people and documents."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Status

    class Exporter(OTLPSpanExporter):
        def export(self, spans: Any) -> Any:
            return super().export([_cleaned(span) for span in spans])

    def _cleaned(span: Any) -> Any:
        attributes = span.attributes or {}
        return ReadableSpan(
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            # Events are errors, with their words.
            attributes={name: attributes[name] for name in attributes if KEPT.fullmatch(name)},
            kind=span.kind,
            status=Status(span.status.status_code),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    return Exporter()


def flush() -> None:
    """Sends what is waiting, for a second at most."""
    if _tracer is not None:
        from opentelemetry import trace

        provider: Any = trace.get_tracer_provider()
        provider.force_flush(timeout_millis=1000)


def traceparent_to_keep() -> str:
    """The trace of what is going on now, in W3C's form, to be kept with what it makes; "" where
    nothing is traced."""
    if _tracer is None:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")[:LONGEST]


class Request:
    """The span of a request, until its answer begins. Entered and left in one thread."""

    def __init__(self, method: str, traceparent: str) -> None:
        self._span: Any = None
        self._method, self._traceparent = method, traceparent
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if _tracer is not None:
            from opentelemetry.trace import SpanKind

            opened = _opened(self._method, self._traceparent, kind=SpanKind.SERVER)
            self._span = self._stack.enter_context(opened)
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def answered(self, *, route: str, status: int, request_id: str) -> None:
        """Says what came of it."""
        if self._span is None:
            return
        from opentelemetry.trace import Status, StatusCode

        self._span.update_name(f"{self._method} {route}".rstrip())
        self._span.set_attributes(
            {
                "http.request.method": self._method,
                "http.route": route,
                "http.response.status_code": status,
                "docmill.request_id": request_id,
            }
        )
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))


@contextmanager
def span(name: str, *, parent: str = "", **facts: str | int) -> Iterator[None]:
    """A span called `name` within; of the trace `parent`, in W3C's form, where one is given.

    What is raised within marks it as failed, without its words: they may quote a document.
    """
    if _tracer is None:
        yield
        return
    from opentelemetry.trace import Status, StatusCode

    with _opened(name, parent) as current:
        current.set_attributes({f"docmill.{key}": fact for key, fact in facts.items() if fact})
        try:
            yield
        except BaseException as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def _opened(name: str, parent: str, **more: Any) -> Any:
    """A context manager that opens a span; of no trace in particular where `parent` is none."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    given = TraceContextTextMapPropagator().extract({"traceparent": parent}) if parent else None
    quiet = {"record_exception": False, "set_status_on_exception": False}
    return _tracer.start_as_current_span(name, context=given, **quiet, **more)


def note(**facts: str | int) -> None:
    """Adds `facts` to the span that is open."""
    if _tracer is None:
        return
    from opentelemetry import trace

    current = trace.get_current_span()
    for key, fact in facts.items():
        current.set_attribute(f"docmill.{key}", fact)
