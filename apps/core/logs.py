"""How every line of the log is written: those of Docmill, of Django and of other libraries alike.

`json` gives one object on one line, for programs; `pretty` is for people. In both, nothing that
comes from outside begins a new line, and what opens doors is cut out.
"""

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import structlog
from structlog.stdlib import ProcessorFormatter

from apps.core.exchange import shown_path

Event = MutableMapping[str, Any]

JSON, PRETTY = "json", "pretty"
DOCUMENT = "file_id"
"""What the context has while a worker reads a document: then an error may quote it."""
FIRST = ("timestamp", "level", "logger", "message", "request_id")
PADDED = 30

_SECRETS = re.compile(
    r"(?P<key>\bdm_[\w-]{8})[\w-]+"  # the part of an API key that is shown
    r"|(?P<webhook>\bwhsec_)[\w+/=-]+"
    r"|(?P<bearer>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"
    r"|(?P<login>://)[^\s/@'\"]+@"
    r"|(?P<named>\b\w*(?:password|passwd|secret|token|sessionid|authorization|cookie)['\"]?\s*[=:]"
    r"\s*['\"]?)(?:(?:bearer|basic)\s+)?[^\s'\",;&)]+",
    re.IGNORECASE,
)
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def formatter(form: str) -> logging.Formatter:
    """What writes lines in the form JSON or PRETTY."""
    render = _in_json if form == JSON else _prettily()
    return ProcessorFormatter(
        processors=[
            _from_record,
            structlog.contextvars.merge_contextvars,
            _with_error,
            _cut,
            render,
        ]
    )


def configure(form: str) -> None:
    """Lets structlog hand its lines to `logging`; in JSON, what ends a thread or a process and what
    Python warns of are lines too."""
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    if form == JSON:
        logging.captureWarnings(capture=True)
        sys.excepthook = _ended
        threading.excepthook = lambda told: _ended(
            told.exc_type, told.exc_value or told.exc_type(), told.exc_traceback
        )
        sys.unraisablehook = lambda told: logging.getLogger("docmill").error(
            "an error that nobody could be told", exc_info=told.exc_value
        )


def redacted(text: str) -> str:
    """`text` without keys, passwords and what else opens doors and can be told by its form."""
    return _SECRETS.sub(_shown, text)


def frames_of(error: BaseException) -> str:
    """Where `error` and what led to it were raised, without their words."""
    told: list[str] = []
    current: BaseException | None = error
    while current is not None and len(told) < 10:
        lines = traceback.format_tb(current.__traceback__)
        told.append(f"Traceback (most recent call last):\n{''.join(lines)}{_name(current)}")
        hidden = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or hidden
    return "\nled to:\n".join(reversed(told))


class OfRequest(logging.Filter):
    """Lets Django's own lines about a request tell its path without what opens a door."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        if request is not None and isinstance(record.args, tuple):
            path, shown = str(getattr(request, "path", "")), shown_path(request)
            # As Django escapes it, and as it is.
            known = {path, path.encode("unicode_escape").decode("ascii")}
            record.args = tuple(shown if each in known else each for each in record.args)
        return True


class LineStream:
    """Takes what a program would print and writes it as lines of the log."""

    def __init__(self, name: str, level: int) -> None:
        self._logger = logging.getLogger(name)
        self._level = level

    def write(self, text: str) -> int:
        if text.strip():
            self._logger.log(self._level, "%s", text.strip())
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


def as_line(text: str, *, logger: str, level: str = "info") -> str:
    """`text` that another program printed, as a line in JSON; as it is where it is one already."""
    if text.startswith("{"):
        try:
            json.loads(text)
        except ValueError:
            pass
        else:
            return text
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    told = {"timestamp": now, "level": level, "logger": logger, "message": redacted(text)}
    return json.dumps(told)


def _from_record(_logger: Any, _name: str, event: Event) -> Event:
    record = event.pop("_record")
    del event["_from_structlog"]
    moment = datetime.fromtimestamp(record.created, UTC)
    event["timestamp"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event["level"] = record.levelname.lower()
    event["logger"] = record.name
    event["message"] = event.pop("event")
    return event


def _with_error(_logger: Any, _name: str, event: Event) -> Event:
    """Local variables are in no traceback; the words of an error are not, where it may quote a
    document."""
    error = _error_of(event.pop("exc_info", None))
    if error is not None:
        in_full = traceback.format_exception
        text = frames_of(error) if DOCUMENT in event else "".join(in_full(error)).rstrip()
        event["exception"] = text
    event.pop("stack_info", None)
    return event


def _error_of(given: Any) -> BaseException | None:
    if isinstance(given, tuple):
        given = given[1]
    elif given is True:
        given = sys.exc_info()[1]
    return given if isinstance(given, BaseException) else None


def _cut(_logger: Any, _name: str, event: Event) -> Event:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = redacted(value)
    return event


def _shown(found: re.Match[str]) -> str:
    return f"{found[found.lastgroup or 0]}..."


def _in_json(_logger: Any, _name: str, event: Event) -> str:
    ordered = {name: event[name] for name in FIRST if name in event} | dict(event)
    return json.dumps(ordered, default=str)


def _prettily() -> Callable[[Any, str, Event], str]:
    colours = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer(
        colors=colours, pad_event_to=PADDED, event_key="message", pad_level=False, sort_keys=False
    )

    def render(logger: Any, name: str, event: Event) -> str:
        for key, value in event.items():
            if isinstance(value, str) and key != "exception":
                event[key] = _BREAKS.sub(lambda each: ascii(each[0])[1:-1], value)
        return str(renderer(logger, name, event))

    return render


def _name(error: BaseException) -> str:
    kind = type(error)
    home = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{home}{kind.__qualname__}"


def _ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    logging.getLogger("docmill").critical("ended by an error", exc_info=(kind, error, trace))
