"""The access log: one line for every request, once its answer has ended."""

import logging

import structlog

from apps.core.exchange import Exchange

logger = structlog.stdlib.get_logger("docmill.access")

SERVER_ERROR = 500
QUIET = ("/health", "/api/health", "/metrics", "/static/", "/favicon.ico")
"""Asked every few seconds, or by the dozen for every page."""


def write(exchange: Exchange) -> None:
    """Writes the line of `exchange`; a REQUEST_LISTENER."""
    logger.log(level_of(exchange), _message(exchange), **_fields(exchange))


def level_of(exchange: Exchange) -> int:
    """WARNING where we failed; DEBUG for what is asked all the time and went well."""
    if exchange.status >= SERVER_ERROR:
        return logging.WARNING
    is_quiet = exchange.path.startswith(QUIET)
    return logging.DEBUG if is_quiet else logging.INFO


def _message(exchange: Exchange) -> str:
    if exchange.is_aborted:
        return "stream aborted" if exchange.is_stream else "request aborted"
    return "stream ended" if exchange.is_stream else "request"


def _fields(exchange: Exchange) -> dict[str, object]:
    """What stands in the line; what is empty is left out."""
    fields: dict[str, object] = {
        "method": exchange.method,
        "path": exchange.path,
        "route": exchange.route,
        "status": exchange.status,
        "duration_ms": round(exchange.seconds * 1000, 1),
        "client": exchange.client,
        "user": exchange.user,
        "organization": exchange.organization,
        "key": exchange.key,
        "bytes": exchange.size,
        "request_id": exchange.request_id,
    }
    if exchange.seconds - exchange.answer_seconds >= 0.001:  # it was still sent then
        fields["latency_ms"] = round(exchange.answer_seconds * 1000, 1)
    return {name: value for name, value in fields.items() if value not in ("", None)}
