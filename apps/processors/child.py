"""The process that reads documents; `spawn` starts it.

One message comes in to set it up and one for each document; progress, then a result or an error
go out. Nothing here imports Django, and no database, setting or credential is in reach.
"""

import faulthandler
import importlib
import os
import pkgutil
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps.processors import errors, sandbox, wire
from apps.processors.protocol import Document, Options, Page

if TYPE_CHECKING:
    from apps.processors.protocol import Processor


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

    def __call__(self, done: int, total: int, note: str, page: Page | None = None) -> None:
        message: dict[str, object] = {"progress": [done, total, note[:200]]}
        if page is not None:
            message["page"] = page.to_json()
        self._line.send(message)


class Meter:
    """Measures what one document costs. The kernel's high-water mark is set back after each, so
    that the host sees this document's own when it looks."""

    def __init__(self) -> None:
        try:
            self._reset = os.open("/proc/self/clear_refs", os.O_WRONLY)
        except OSError:
            self._reset = -1
        self._cpu = 0.0

    def reset(self) -> None:
        self._cpu = time.process_time()
        if self._reset >= 0:
            os.write(self._reset, b"5")

    def read(self) -> dict[str, float]:
        """Bytes and seconds of this document, and of the process as the kernel counts it."""
        of_process = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "peak_rss_bytes": memory("VmHWM") or rss_bytes(of_process),
            "cpu_seconds": time.process_time() - self._cpu,
            "process_peak_rss_bytes": rss_bytes(of_process),
            "process_cpu_seconds": of_process.ru_utime + of_process.ru_stime,
            "rss_bytes": memory("VmRSS"),
            "address_space_bytes": memory("VmSize"),
        }


def rss_bytes(usage: resource.struct_rusage) -> int:
    """The highest resident memory in `usage`: kilobytes on Linux, bytes on macOS."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def memory(field: str, pid: int | str = "self") -> int:
    """A line of /proc/<pid>/status in bytes; 0 where there is none."""
    try:
        with Path(f"/proc/{pid}/status").open() as status:
            lines = dict(line.split(":", 1) for line in status)
        return int(lines[field].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return 0


def main() -> None:
    faulthandler.enable()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    line = Line()
    setup = line.receive()
    parent = int(setup["parent"])
    sandbox.die_with(parent)
    isolation = {"network": sandbox.cut_network(), "memory": sandbox.limit(setup["memory_bytes"])}
    meter = Meter()
    processors, failures = _load(setup["processors"])
    os.chdir(setup["folder"])
    tempfile.tempdir = setup["folder"]
    _import_codecs()
    isolation["user"] = sandbox.become_nobody()
    isolation["parent's death"] = sandbox.die_with(parent)
    line.send(
        {
            "ready": isolation,
            "failures": failures,
            "engines": {path: f"{p.name} {p.version}" for path, p in processors.items()},
            "usage": meter.read(),
        }
    )
    while True:
        meter.reset()
        _answer(line, line.receive(), processors, meter)


def _load(paths: list[str]) -> tuple[dict[str, "Processor"], dict[str, dict[str, object]]]:
    """Processors by dotted path, and why the others do not load, so that one breaks no other."""
    loaded: dict[str, Processor] = {}
    failures: dict[str, dict[str, object]] = {}
    for path in paths:
        module, _, name = path.rpartition(".")
        try:
            loaded[path] = getattr(importlib.import_module(module), name)()
        except Exception:  # noqa: BLE001 (a plug-in's module may raise anything)
            failures[path] = errors.to_json(_bug(f"The processor {path} does not load."))
    return loaded, failures


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
    )
    sandbox.limit_cpu(order["seconds"])
    try:
        extraction = processors[order["processor"]].run(document, Reporter(line))
        answer = {"done": extraction.to_json(), "usage": meter.read()}
        line.send(answer)
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
