"""Why did the child die? Pure: from how it ended to the error that is reported."""

import re
import signal
from dataclasses import dataclass

from apps.processors.errors import ChildCrashed, OutOfResources

# Libraries end the process in their own way when memory is refused: PDFium and Rust abort, C++
# without a handler aborts, careless C follows a null pointer.
ENDS_WITHOUT_MEMORY = frozenset(
    -number
    for number in (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGTRAP, signal.SIGILL)
)
WORDS_OF_NO_MEMORY = re.compile(
    r"memory allocation of \d+ bytes failed|bad_alloc|out of memory|cannot allocate memory"
    r"|MemoryError",
    re.IGNORECASE,
)
# A buffer that grows by doubling is refused when old and new no longer fit side by side: then the
# old one fills a third of the room there was.
TELLING_SHARE = 1 / 3


@dataclass(frozen=True)
class Death:
    """`exit` as subprocess has it. `grown_bytes`: resident memory gained on this document;
    `room_bytes`: what the memory cap had left before it."""

    exit: int
    grown_bytes: int = 0
    room_bytes: int = 0
    stderr: str = ""


def cause(death: Death) -> ChildCrashed | OutOfResources:
    """What to report for a child that ended by itself (not when we killed it).

    A crash for another reason in a child that had grown large is taken for lack of memory; the
    price of that mistake is one more try with more room.
    """
    if death.exit == -signal.SIGXCPU:
        return OutOfResources("processor.timeout", "Reading the file took too much computing time.")
    if _lacked_memory(death):
        return OutOfResources(
            "processor.memory", "Reading the file needs more memory than allowed."
        )
    return ChildCrashed(
        death.exit,
        f"The program that reads the file ended with {_named(death.exit)}.",
        death.stderr,
    )


def _lacked_memory(death: Death) -> bool:
    if death.exit == -signal.SIGKILL:  # the system's own killer, or a person: cannot be told apart
        return False
    if death.exit != 0 and WORDS_OF_NO_MEMORY.search(death.stderr):
        return True
    grown_far = 0 < death.room_bytes * TELLING_SHARE <= death.grown_bytes
    return death.exit in ENDS_WITHOUT_MEMORY and grown_far


def _named(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"
