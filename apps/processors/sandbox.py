"""What the child gives up before it sees a document. Linux in full; elsewhere less, and it says so.

Runs in the child only. Order matters: what the kernel applies per thread (namespace, filter)
comes before imports, which may start threads; the user comes last, for with the user goes access
to the interpreter's own files when those lie in somebody's home.
"""

import contextlib
import ctypes
import os
import pwd
import resource
import signal
import socket
import sys
import threading
import time

OPEN_FILES = 256
THREADS_OF_NOBODY = 1024
"""RLIMIT_NPROC counts every thread of the user, other children's and other programs' too."""
WRITTEN_FILE_BYTES = 256 * 1024 * 1024
NOBODY = 65534

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

# Per machine: the audit architecture, and the numbers of the calls that are refused: socket,
# io_uring_setup (could open sockets past the filter), ptrace, process_vm_readv,
# process_vm_writev and pidfd_getfd (reach into another process of the same user).
FILTERED_CALLS = {
    "x86_64": (0xC000003E, (41, 425, 101, 310, 311, 438)),
    "aarch64": (0xC00000B7, (198, 425, 117, 270, 271, 438)),
}
X32_CALLS = 0x40000000
SECCOMP_ALLOW = 0x7FFF0000
SECCOMP_REFUSE = 0x00050000 | 13  # EACCES

BPF_LOAD = 0x20
BPF_JUMP_IF_EQUAL = 0x15
BPF_JUMP_IF_AT_LEAST = 0x35
BPF_RETURN = 0x06
CALL_NUMBER_AT = 0
ARCHITECTURE_AT = 4


class Instruction(ctypes.Structure):
    """`struct sock_filter` of linux/filter.h."""

    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("operand", ctypes.c_uint32),
    )


class Program(ctypes.Structure):
    """`struct sock_fprog` of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.POINTER(Instruction)))


def die_with(parent: int) -> str:
    """Die when the process `parent` does. Says by what means: "kernel" or "watch".

    The kernel forgets the wish when the user changes, so it is asked again after that.
    """
    if _prctl(PR_SET_PDEATHSIG, signal.SIGKILL):
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


def cut_network() -> str:
    """Refuse new sockets to this process. Says how, by what was seen to work.

    "filter", "namespace", both joined by "+", or "open". The filter is the stronger one: a
    namespace of its own still reaches the Unix sockets in the file system.
    """
    layers = []
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    if os.geteuid() == 0 and _unshare(CLONE_NEWNET):
        layers.append("namespace")
    if _refuse_calls() and not _can_open_socket():
        layers.append("filter")
    if not layers and _unshare(CLONE_NEWUSER | CLONE_NEWNET):
        layers.append("namespace")
    return "+".join(reversed(layers)) or "open"


def _can_open_socket() -> bool:
    try:
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True


def _refuse_calls() -> bool:
    machine = os.uname().machine
    if not sys.platform.startswith("linux") or machine not in FILTERED_CALLS:
        return False
    instructions = _filter(machine)
    array = (Instruction * len(instructions))(*instructions)
    program = Program(len(instructions), array)
    return _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program))


def _filter(machine: str) -> list[Instruction]:
    """Refuse the listed calls, and every call that comes by another architecture's door."""
    architecture, calls = FILTERED_CALLS[machine]
    tests = [Instruction(BPF_JUMP_IF_AT_LEAST, len(calls) + 1, 0, X32_CALLS)]
    for left, call in enumerate(reversed(calls)):
        tests.insert(1, Instruction(BPF_JUMP_IF_EQUAL, left + 1, 0, call))
    return [
        Instruction(BPF_LOAD, 0, 0, ARCHITECTURE_AT),
        Instruction(BPF_JUMP_IF_EQUAL, 1, 0, architecture),
        Instruction(BPF_RETURN, 0, 0, SECCOMP_REFUSE),
        Instruction(BPF_LOAD, 0, 0, CALL_NUMBER_AT),
        *tests,
        Instruction(BPF_RETURN, 0, 0, SECCOMP_ALLOW),
        Instruction(BPF_RETURN, 0, 0, SECCOMP_REFUSE),
    ]


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


def become_nobody() -> str:
    """Give up root, if this is root. Says as whom documents are read from now on.

    "nobody"; "same user as the worker" when that is not root; "root" when the platform refuses.
    """
    if os.geteuid() != 0:
        return "same user as the worker"
    user, group = nobody()
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


def _prctl(option: int, argument: int, pointer: int = 0) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    unsigned = ctypes.c_ulong
    arguments = (unsigned(argument), unsigned(pointer), unsigned(0), unsigned(0))
    return bool(libc.prctl(option, *arguments) == 0)


def _unshare(flags: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None, use_errno=True).unshare(flags) == 0)
