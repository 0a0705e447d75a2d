"""The process that reads documents; `spawn` starts it.

One message comes in to set it up and one for each document; progress, then a result or an error
go out. Nothing here imports Django, and no database, setting or credential is in reach.
"""

import faulthandler
import gc
import importlib
import itertools
import os
import pkgutil
import resource
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from apps.processors import errors, sandbox, wire
from apps.processors.protocol import Document, Extraction, Options, Page

if TYPE_CHECKING:
    from apps.processors.protocol import Processor

Failures = dict[str, dict[str, object]]


class Line:
    """The two pipes to the parent, moved away from descriptors 0 and 1.

    Libraries that print to standard output then print to standard error, which is only kept for
    the record.
    """

    def __init__(self) -> None:
        self._in = os.dup(0)
        self._out = os.dup(1)
        self._inbox = wire.Inbox()
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)

    def receive(self) -> dict[str, Any]:
        """The next message. Ends the process when the parent is gone."""
        while True:
            piece = os.read(self._in, 65536)
            if not piece:
                os._exit(0)  # at once: native threads may still hold the interpreter
            for message in self._inbox.feed(piece):
                return message  # the parent sends the next only after an answer

    def send(self, message: dict[str, object]) -> None:
        packed = memoryview(wire.pack(message))
        while packed:
            packed = packed[os.write(self._out, packed) :]


class Reporter:
    """What a processor calls as `report`; the host decides how often it is passed on."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._sent: list[Page] = []

    def __call__(self, done: int, total: int, note: str, page: Page | None = None) -> None:
        message: dict[str, object] = {"progress": [done, total, note[:200]]}
        if page is not None:
            message["page"] = page.to_json()
            self._sent.append(page)
        self._line.send(message)

    def answer(self, extraction: Extraction) -> dict[str, object]:
        """The result without the pages it begins with that went out before; how many those are
        stands in "sent"."""
        pairs = zip(extraction.pages, self._sent, strict=False)
        same = itertools.takewhile(lambda pair: pair[0] is pair[1] or pair[0] == pair[1], pairs)
        sent = sum(1 for _ in same)
        rest = replace(extraction, pages=extraction.pages[sent:])
        return {"done": rest.to_json(), "sent": sent}


class Meter:
    """Measures what one document costs. The kernel's high-water mark is set back after each, so
    that the host sees this document's own when it looks. By descriptors: /proc is closed later."""

    def __init__(self) -> None:
        self._reset = _opened("/proc/self/clear_refs", os.O_WRONLY)
        self._status = _opened("/proc/self/status", os.O_RDONLY)
        self._cpu = 0.0

    def reset(self) -> None:
        self._cpu = time.process_time()
        if self._reset >= 0:
            os.write(self._reset, b"5")

    def read(self) -> dict[str, float]:
        """Bytes and seconds of this document, and of the process as the kernel counts it."""
        of_process = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "peak_rss_bytes": self._memory("VmHWM") or rss_bytes(of_process),
            "cpu_seconds": time.process_time() - self._cpu,
            "process_peak_rss_bytes": rss_bytes(of_process),
            "process_cpu_seconds": of_process.ru_utime + of_process.ru_stime,
            "rss_bytes": self._memory("VmRSS"),
            "address_space_bytes": self._memory("VmSize"),
        }

    def _memory(self, field: str) -> int:
        return _in_bytes(os.pread(self._status, 65536, 0), field) if self._status >= 0 else 0


def _opened(path: str, flags: int) -> int:
    """A descriptor, or -1."""
    try:
        return os.open(path, flags)
    except OSError:
        return -1


def rss_bytes(usage: resource.struct_rusage) -> int:
    """The highest resident memory in `usage`: kilobytes on Linux, bytes on macOS."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def memory(field: str, pid: int) -> int:
    """A line of /proc/<pid>/status in bytes; 0 where there is none."""
    try:
        return _in_bytes(Path(f"/proc/{pid}/status").read_bytes(), field)
    except OSError:
        return 0


def _in_bytes(status: bytes, field: str) -> int:
    lines = dict(line.split(b":", 1) for line in status.splitlines())
    return int(lines.get(field.encode(), b"0").split()[0]) * 1024


def main() -> None:
    faulthandler.enable()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    line = Line()
    setup = line.receive()
    parent = int(setup["parent"])
    sandbox.die_with(parent)
    isolation = {**sandbox.close_calls(), "memory": sandbox.limit(setup["memory_bytes"])}
    meter = Meter()
    nobody = sandbox.nobody()
    modules, failures = _import(setup["processors"])
    os.chdir(setup["folder"])
    tempfile.tempdir = setup["folder"]
    fence = sandbox.fence(setup["folder"], {module.__name__ for module in modules.values()})
    isolation["files"] = fence.close()
    processors = _construct(modules, failures)
    _import_codecs()
    isolation["user"] = sandbox.become(*nobody)
    isolation["parents_death"] = sandbox.die_with(parent)
    line.send(
        {
            "ready": isolation,
            "failures": failures,
            "engines": {path: f"{p.name} {p.version}" for path, p in processors.items()},
            "usage": meter.read(),
        }
    )
    gc.freeze()  # what is loaded stays; every document would pay for looking through it
    while True:
        meter.reset()
        _answer(line, line.receive(), processors, meter)


def _import(paths: list[str]) -> tuple[dict[str, ModuleType], Failures]:
    """The modules of the processors at dotted paths, and why the others do not import."""
    modules: dict[str, ModuleType] = {}
    failures: Failures = {}
    for path in paths:
        try:
            modules[path] = importlib.import_module(path.rpartition(".")[0])
        except Exception:  # noqa: BLE001 (a plug-in's module may raise anything)
            failures[path] = _does_not_load(path)
    return modules, failures


def _construct(modules: dict[str, ModuleType], failures: Failures) -> dict[str, "Processor"]:
    """Processors by dotted path. Why others do not load is added to `failures`, so that one breaks
    no other."""
    processors: dict[str, Processor] = {}
    for path, module in modules.items():
        try:
            processors[path] = getattr(module, path.rpartition(".")[2])()
        except Exception:  # noqa: BLE001 (as above)
            failures[path] = _does_not_load(path)
    return processors


def _does_not_load(path: str) -> dict[str, object]:
    return errors.to_json(_bug(f"The processor {path} does not load."))


def _import_codecs() -> None:
    """Bring in every character set now: Python finds them by import, on first use."""
    import encodings

    for module in pkgutil.iter_modules(encodings.__path__):
        if module.name not in ("mbcs", "oem"):  # of Windows
            importlib.import_module(f"encodings.{module.name}")


def _answer(
    line: Line, order: dict[str, Any], processors: dict[str, "Processor"], meter: Meter
) -> None:
    """Read one document and send what came of it."""
    document = Document(
        path=Path(order["path"]),
        name=order["name"],
        kind=order["kind"],
        options=Options.parse(order["options"]),
        wants_searchable=order["searchable"],
    )
    sandbox.limit_cpu(order["seconds"])
    try:
        reporter = Reporter(line)
        extraction = processors[order["processor"]].run(document, reporter)
        line.send({**reporter.answer(extraction), "usage": meter.read()})
    except (errors.BadDocument, errors.Unavailable) as error:
        failed: errors.ProcessingError = error
    except MemoryError:
        failed = errors.OutOfResources("processor.memory", "")
    except wire.TooLarge:
        failed = errors.OutOfResources("processor.output", "")
    except Exception:  # noqa: BLE001 (whatever else a processor raises is a bug, reported as such)
        failed = _bug("The processor failed on this document in a way it should not.")
    else:
        return
    line.send({"failed": errors.to_json(failed), "usage": meter.read()})


def _bug(detail: str) -> errors.ProcessorBug:
    return errors.ProcessorBug(detail, traceback.format_exc())
