"""What the child gives up before it sees a document. Linux in full; elsewhere less, and it says so.

Runs in the child only. Order matters: what the kernel applies per thread (namespace, filter)
comes before anything starts threads: the filter first, the fence around files once the modules of
the processors are imported and before they load their libraries. The user comes last, for with the
user goes access to the interpreter's own files when those lie in somebody's home.
"""

import contextlib
import os
import pwd
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from apps.processors import linux, seccomp, tessdata
from apps.processors.landlock import Fence

OPEN_FILES = 256
THREADS_OF_NOBODY = 1024
"""RLIMIT_NPROC counts every thread of the user, other children's and other programs' too."""
WRITTEN_FILE_BYTES = 256 * 1024 * 1024
NOBODY = 65534
PACKAGE_FOLDERS = ("site-packages", "dist-packages")

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000


def die_with(parent: int) -> str:
    """Die when the process `parent` does. Says by what means: "kernel" or "watch".

    The kernel forgets the wish when the user changes, so it is asked again after that.
    """
    if linux.prctl(PR_SET_PDEATHSIG, signal.SIGKILL):
        _exit_unless_child_of(parent)
        return "kernel"
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    return "watch"


def _watch(parent: int) -> None:
    while True:
        _exit_unless_child_of(parent)
        time.sleep(1)


def _exit_unless_child_of(parent: int) -> None:
    if os.getppid() != parent:
        os._exit(1)


def close_calls() -> dict[str, str]:
    """Refuse sockets, processes and other calls. Says how, by what was seen to work.

    "network" is "filter", "namespace", both joined by "+", or "open"; the filter is the stronger
    one: a namespace of its own still reaches the Unix sockets in the file system. "processes" is
    "filter" or "open".
    """
    layers = []
    linux.prctl(PR_SET_NO_NEW_PRIVS, 1)
    if os.geteuid() == 0 and linux.unshare(CLONE_NEWNET):
        layers.append("namespace")
    filtered = seccomp.refuse_calls()
    if filtered and not _can_open_socket():
        layers.insert(0, "filter")
    if not layers and linux.unshare(CLONE_NEWUSER | CLONE_NEWNET):
        layers.append("namespace")
    return {
        "network": "+".join(layers) or "open",
        "processes": "filter" if filtered and not _can_start_process() else "open",
    }


def _can_open_socket() -> bool:
    try:
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True


def _can_start_process() -> bool:
    try:
        child = os.fork()
    except OSError:
        return False
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return True


def fence(folder: str, modules: Iterable[str]) -> Fence:
    """The fence for who works in `folder` with the processors of the imported `modules`.

    Readable are the standard library, installed packages, the language data of OCR and the
    top-level packages of the processors; of the rest of the project nothing, for the database may
    lie there.
    """
    installed = [entry for entry in sys.path if Path(entry).name in PACKAGE_FOLDERS]
    own = [path for module in (__name__, *modules) for path in _code_of(module)]
    standard_library = Path(os.__file__).parent
    return Fence(
        readable=[standard_library, *installed, *tessdata.directories(), *own],
        writable=[folder],
    )


def _code_of(module: str) -> list[str]:
    """The folders of the module's top-level package, or its one file."""
    top = sys.modules[module.partition(".")[0]]
    return list(getattr(top, "__path__", ())) or [top.__file__ or os.devnull]


def limit(memory_bytes: int) -> str:
    """Cap memory and files for good. Says of the memory cap: "capped", or "open" if it has none."""
    os.umask(0o077)
    for which, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_FSIZE, WRITTEN_FILE_BYTES),
    ):
        _lower(which, value)
    # macOS takes the call and does not enforce it.
    capped = _lower(resource.RLIMIT_AS, memory_bytes) and sys.platform.startswith("linux")
    return "capped" if capped else "open"


def limit_cpu(seconds: float) -> None:
    """Allow `seconds` of CPU time from now on; then SIGXCPU, whose default is death."""
    spent = time.process_time()
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(spent + seconds) + 2, hard))


def _lower(which: int, value: int) -> bool:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    try:
        resource.setrlimit(which, (value, value))
    except (OSError, ValueError):
        return False
    return True


def become(user: int, group: int) -> str:
    """Become `nobody()`, if this is root. Says as whom documents are read from now on.

    "nobody"; "same user as the worker" when that is not root; "root" when the platform refuses.
    """
    if os.geteuid() != 0:
        return "same user as the worker"
    _lower(resource.RLIMIT_NPROC, THREADS_OF_NOBODY)
    try:
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
    except OSError:
        return "root"
    return "nobody"


def nobody() -> tuple[int, int]:
    """User and group id of `nobody`."""
    with contextlib.suppress(KeyError):
        entry = pwd.getpwnam("nobody")
        return entry.pw_uid, entry.pw_gid
    return NOBODY, NOBODY
