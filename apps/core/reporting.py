"""Errors to Sentry, or what speaks its protocol. Imported only where SENTRY_DSN is set.

What is sent is what helps to find the fault: its kind, where it was raised, the route, ids. Neither
the request's body, query, cookies and headers, nor local variables, nor who it was.
"""

import logging
from typing import Any, cast

import sentry_sdk
from django.core.exceptions import ImproperlyConfigured
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import LoggingIntegration, ignore_logger
from sentry_sdk.integrations.redis import RedisIntegration
from sentry_sdk.integrations.threading import ThreadingIntegration
from sentry_sdk.types import Event, Hint
from sentry_sdk.utils import BadDsn

from apps.core.context import known
from apps.core.exchange import HIDDEN
from apps.core.logs import DOCUMENT, redacted

LONGEST = 300
"""Characters of an error's words."""
TAGS = ("request_id", "organization", "job_id", "file_id", "work_id", "kind")
KEPT_OF_REQUEST = ("method",)
NOWHERE = "(nowhere)"
"""In place of an address that leads nowhere: it may be a link that opens a door, mistyped."""
IGNORED = (
    "django.security.*",  # what somebody else did
    "opentelemetry.*",  # that traces cannot be sent
    "docmill.access",  # the error behind a 500 has an event of its own
)


def start(*, dsn: str, environment: str, version: str, traces_sample_rate: float) -> None:
    """Begins to send. A thread of its own does, with a short queue: a server that is slow or away
    slows nobody, and what does not fit is dropped."""
    for name in IGNORED:
        ignore_logger(name)
    try:
        sentry_sdk.init(
            dsn=dsn,
            environment=environment,
            release=f"docmill@{version}",
            traces_sample_rate=traces_sample_rate or None,
            send_default_pii=False,
            include_local_variables=False,  # they would carry document text
            max_request_body_size="never",
            max_breadcrumbs=0,  # they would carry statements and lines of the log
            trace_propagation_targets=[],  # the servers of others are told nothing of our traces
            auto_session_tracking=False,
            send_client_reports=False,
            auto_enabling_integrations=False,
            default_integrations=False,
            integrations=[
                DjangoIntegration(
                    transaction_style="url",
                    middleware_spans=False,
                    signals_spans=False,
                    cache_spans=False,
                ),
                CeleryIntegration(propagate_traces=False),
                RedisIntegration(),
                LoggingIntegration(level=None, event_level=logging.ERROR),
                DedupeIntegration(),
                ExcepthookIntegration(),
                ThreadingIntegration(propagate_scope=False),
                AtexitIntegration(callback=_say_nothing),
            ],
            before_send=scrubbed,
            before_send_transaction=scrubbed_trace,
            shutdown_timeout=2,
        )
    except BadDsn as error:
        raise ImproperlyConfigured(f"SENTRY_DSN: {error}.") from error


def scrubbed(event: Event, hint: Hint) -> Event | None:
    """`event` as it may leave, with the ids of what was going on as tags."""
    told, facts = cast(dict[str, Any], event), known()
    _scrub(told)
    for error in _errors(told):
        error["value"] = _words(error.get("value"), facts)
    if told.get("logentry"):
        told["logentry"] = {"message": _line(hint.get("log_record"))}
    _tag(told, facts)
    return event


def scrubbed_trace(event: Event, _hint: Hint) -> Event | None:
    """The same of a trace, whose spans tell of statements without values."""
    told = cast(dict[str, Any], event)
    _scrub(told)
    for span in told.get("spans") or []:
        span["description"] = redacted(str(span.get("description") or ""))
        span["data"] = {}
    _tag(told, known())
    return event


def _scrub(told: dict[str, Any]) -> None:
    request = told.get("request") or {}
    told["request"] = {name: request[name] for name in KEPT_OF_REQUEST if name in request}
    if (told.get("transaction_info") or {}).get("source") == "url":
        told["transaction"] = NOWHERE
    for name in ("user", "breadcrumbs", "extra", "modules"):
        told.pop(name, None)
    contexts = told.get("contexts") or {}
    contexts.get("trace", {}).pop("data", None)
    for name in set(contexts) - {"trace", "runtime"}:
        del contexts[name]
    for error in _errors(told):
        for frame in (error.get("stacktrace") or {}).get("frames", []):
            frame.pop("vars", None)


def _errors(told: dict[str, Any]) -> list[dict[str, Any]]:
    return (told.get("exception") or {}).get("values") or []


def _tag(told: dict[str, Any], facts: dict[str, str]) -> None:
    tags = {name: facts[name] for name in TAGS if facts.get(name)}
    told["tags"] = {**(told.get("tags") or {}), **tags}


def _line(record: Any) -> str:
    """What a line of the log says, and why, where it says so in fields."""
    if isinstance(getattr(record, "msg", None), dict):
        fields = record.msg
        return f"{fields['event']}: {fields['code']}" if "code" in fields else fields["event"]
    return redacted(record.getMessage())[:LONGEST] if record is not None else ""


def _words(value: Any, facts: dict[str, str]) -> str:
    """What an error says: nothing while a worker has a document, which it might quote; the attempt
    in the admin has it all."""
    if DOCUMENT in facts:
        return HIDDEN
    words = str(value or "").partition("DETAIL:")[0]  # of PostgreSQL, with values of rows
    return redacted(words)[:LONGEST].rstrip()


def _say_nothing(_pending: int, _timeout: float) -> None:
    """Of what is still to be sent when a process ends: by itself the library prints it."""
