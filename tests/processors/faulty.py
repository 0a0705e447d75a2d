"""A processor that does to its host what the document says: the first word names a method."""

import collections
import ctypes
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from apps.processors.errors import BadDocument, Unavailable
from apps.processors.protocol import Document, Extraction, Page, Report

OWN_STATUS = os.open("/proc/self/status", os.O_RDONLY)  # while that can be opened


def said(text: str) -> Extraction:
    return Extraction(pages=(Page(1, text),), kind="txt", engine="faulty 1")


class FaultyProcessor:
    name = "faulty"
    version = "1"
    operations = frozenset({"extract"})
    accepts = frozenset({"txt"})

    def run(self, document: Document, report: Report) -> Extraction:
        report(0, 1, "started")
        word, _, rest = document.path.read_text().partition(" ")
        return getattr(self, word)(rest, report)

    def echo(self, rest: str, report: Report) -> Extraction:
        return said(rest)

    # --- dying ---

    def segfault(self, rest: str, report: Report) -> Extraction:
        return said(str(ctypes.string_at(0)))

    def abort(self, rest: str, report: Report) -> Extraction:
        os.abort()

    def leave(self, rest: str, report: Report) -> Extraction:
        os._exit(int(rest))

    # --- never ending ---

    def spin_in_python(self, rest: str, report: Report) -> Extraction:
        while True:
            pass

    def spin_in_c(self, rest: str, report: Report) -> Extraction:
        """Holds the interpreter: no other thread of the child runs any more."""
        return said(str(collections.deque(itertools.repeat(0), maxlen=0)))

    def spin_and_tell(self, rest: str, report: Report) -> Extraction:
        """Busy for ever, and always a little further."""
        while True:
            report(1, 100, "working")
            until = time.monotonic() + 0.05
            while time.monotonic() < until:
                pass

    def sleep(self, rest: str, report: Report) -> Extraction:
        for number in range(1, int(rest or 0) + 1):
            report(number, 100, f"page {number}", page=Page(number, f"text of page {number}"))
        time.sleep(600)
        return said("")

    def tick(self, rest: str, report: Report) -> Extraction:
        """Reports for ever."""
        for number in itertools.count():
            report(min(number, 99), 100, "working")
            time.sleep(0.05)
        return said("")

    def start_another(self, rest: str, report: Report) -> Extraction:
        program = subprocess.Popen(["/bin/sleep", "600"])
        report(0, 1, f"pid {program.pid}")
        time.sleep(600)
        return said("")

    # --- too much ---

    def fill_memory(self, rest: str, report: Report) -> Extraction:
        report(1, 2, "page 1", page=Page(1, "before the flood"))
        return said(str(len(bytearray(3 * 1024**3))))

    def abort_when_full(self, rest: str, report: Report) -> Extraction:
        """As PDFium and Rust do."""
        kept = []
        try:
            while True:
                kept.append(bytearray(32 * 1024**2))
        except MemoryError:
            os.abort()

    def use_megabytes(self, rest: str, report: Report) -> Extraction:
        return said(str(len(bytearray(int(rest) * 1024**2).strip(b"x"))))

    def one_huge_answer(self, rest: str, report: Report) -> Extraction:
        return said("x" * (70 * 1024**2))

    def many_large_pages(self, rest: str, report: Report) -> Extraction:
        for number in range(1, 100):
            report(number, 100, "page", page=Page(number, "x" * 1024**2))
        return said("")

    # --- talking out of turn ---

    def chatter(self, rest: str, report: Report) -> Extraction:
        print("from Python", "x" * 200_000)  # noqa: T201
        os.write(1, b"\xff\xff\xff\xff from the system call")
        ctypes.CDLL(None).puts(b"from C")
        return said("understood")

    def scribble(self, rest: str, report: Report) -> Extraction:
        """Writes nonsense to every open descriptor, the line to the host among them."""
        for descriptor in range(3, 30):
            try:
                os.write(descriptor, b"\x00\x00\x00\x04what")
            except OSError:
                continue
        time.sleep(600)
        return said("")

    def mistake(self, rest: str, report: Report) -> Extraction:
        raise KeyError("a mistake of the programmer")

    def refuse(self, rest: str, report: Report) -> Extraction:
        raise BadDocument("document.corrupt", "It is \x00broken \ud800.")

    def wait_for_better_times(self, rest: str, report: Report) -> Extraction:
        raise Unavailable("processor.model_away", "The model is away.", retry_after=7.5)

    def say_unstorable(self, rest: str, report: Report) -> Extraction:
        return said("a\x00b\ud800c\ud83d\ude00")

    # --- looking around ---

    def open_sockets(self, rest: str, report: Report) -> Extraction:
        outcomes = {}
        for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
            try:
                socket.socket(family, socket.SOCK_STREAM).close()
                outcomes[family.name] = "opened"
            except OSError as error:
                outcomes[family.name] = type(error).__name__
        return said(json.dumps(outcomes))

    def show_environment(self, rest: str, report: Report) -> Extraction:
        return said(json.dumps(dict(os.environ)))

    def show_modules(self, rest: str, report: Report) -> Extraction:
        return said(json.dumps(sorted(sys.modules)))

    def read_file(self, rest: str, report: Report) -> Extraction:
        try:
            return said(Path(rest).read_text())
        except OSError as error:
            return said(type(error).__name__)

    def show_self(self, rest: str, report: Report) -> Extraction:
        status = dict(
            line.split(":\t", 1) for line in os.pread(OWN_STATUS, 65536, 0).decode().splitlines()
        )
        return said(
            json.dumps(
                {
                    "uid": os.getuid(),
                    "groups": os.getgroups(),
                    "capabilities": int(status["CapEff"], 16),
                    "no_new_privileges": status["NoNewPrivs"].strip(),
                    "folder": str(Path.cwd()),
                    "session": os.getsid(0),
                    "pid": os.getpid(),
                }
            )
        )

    def litter(self, rest: str, report: Report) -> Extraction:
        with tempfile.NamedTemporaryFile(delete=False) as left:
            left.write(b"litter")
        Path("folder").mkdir()
        (Path("folder") / "more").write_text("litter")
        return said(left.name)


class Unloadable:
    """Not to be had: its constructor fails."""

    name = "unloadable"
    version = "1"
    operations = frozenset({"extract"})
    accepts = frozenset({"txt"})

    def __init__(self) -> None:
        raise RuntimeError("no model")

    def run(self, document: Document, report: Report) -> Extraction:
        raise NotImplementedError
