"""Every statement to the database: not begun when the request's time is over, timed, counted by
what it does to which table, and logged with its place where it took long. Parameters are never
looked at.
"""

import logging
import re
import sys
import time
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.backends.signals import connection_created
from django.dispatch import receiver
from django.http import HttpRequest

from apps.core import deadline
from apps.core.exchange import route_of
from apps.core.metrics import QUERY_SECONDS, SLOW_QUERIES

logger = logging.getLogger(__name__)

LOOKED_AT = 4000
"""Characters of a statement in which its table stands."""
SHOWN = 2000
"""Characters of a statement that the log has."""
OTHER = "other"
READS = re.compile(r"\bFROM\s+\"?(\w+)", re.IGNORECASE)
WRITES = re.compile(r"\b(INSERT|DELETE|UPDATE)\s+(?:INTO\s+|FROM\s+)?\"?(\w+)", re.IGNORECASE)
FIRST_WORD = re.compile(r"[\s(]*(\w+)")

_OWN = str(settings.BASE_DIR / "apps")
_HERE = str(Path(__file__))


@receiver(connection_created)
def _watch(connection: Any, **_: Any) -> None:
    if measured not in connection.execute_wrappers:
        connection.execute_wrappers.append(measured)
    deadline.watch(connection)


def measured(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Django's execute wrapper. Raises OutOfTime."""
    deadline.before_statement(context["connection"])
    began = time.perf_counter()
    try:
        return execute(sql, params, many, context)
    finally:
        seconds = time.perf_counter() - began
        seconds_of, slow = _counters(sql[:LOOKED_AT])
        seconds_of.observe(seconds)
        if seconds * 1000 >= settings.SLOW_QUERY_MS:
            slow.inc()
            _tell(sql, seconds)


@lru_cache(maxsize=512)
def _counters(sql: str) -> tuple[Any, Any]:
    labels = operation_and_table(sql)
    return QUERY_SECONDS.labels(*labels), SLOW_QUERIES.labels(*labels)


def operation_and_table(sql: str) -> tuple[str, str]:
    """(select, insert, update, delete or other; a table of ours or other)."""
    first = FIRST_WORD.match(sql)
    word = first[1].lower() if first else ""
    if word in ("insert", "update", "delete", "with"):
        for operation, table in WRITES.findall(sql):
            if table in _tables():
                return operation.lower(), table
    if word not in ("select", "with", "insert", "update", "delete"):
        return OTHER, OTHER
    operation = "select" if word == "with" else word
    return operation, next((table for table in READS.findall(sql) if table in _tables()), OTHER)


@cache
def _tables() -> frozenset[str]:
    models = apps.get_models(include_auto_created=True)
    return frozenset(model._meta.db_table for model in models)


def _tell(sql: str, seconds: float) -> None:
    text = " ".join(sql[:SHOWN].split())
    logger.warning("slow query: %d ms, %s: %s", round(seconds * 1000), _place(), text)


def _place() -> str:
    """The innermost line of ours that asked, and for what: a route of the table of addresses, or a
    command."""
    line = ""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if not line and path.startswith(_OWN) and path != _HERE:
            line = f"apps{path.removeprefix(_OWN)}:{frame.f_lineno} in {frame.f_code.co_name}"
        request = frame.f_locals.get("request")
        if isinstance(request, HttpRequest) and (route := route_of(request)):
            return f"{line} for {request.method} {route}"
        frame = frame.f_back
    return f"{line or 'not from a line of ours'} for {' '.join(sys.argv[:2])}"
