"""A processor that tries to get out. What it read, opened or did is told; a refusal is its name."""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from apps.processors.protocol import Document, Extraction, Page, Report

READ_MEMORY = {"x86_64": 310, "aarch64": 270}
ATTACH, READ_ONLY_BYTES = 16, 8


class HostileProcessor:
    name = "hostile"
    version = "1"
    operations = frozenset({"extract"})
    accepts = frozenset({"txt"})

    def run(self, document: Document, report: Report) -> Extraction:
        goal = json.loads(document.path.read_text())
        attempts = {
            **sockets(),
            **processes(),
            **the_parent(os.getppid()),
            **reading(goal),
            **writing(goal),
        }
        told = {name: outcome_of(attempt) for name, attempt in attempts.items()}
        told["own work"] = own_work()
        return Extraction(pages=(Page(1, json.dumps(told)),), kind="txt", engine="hostile 1")


Attempts = dict[str, Callable[[], object]]


def outcome_of(attempt: Callable[[], object]) -> str:
    try:
        return f"got {attempt()!r}"[:200]
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def sockets() -> Attempts:
    """Of the Internet, of this machine, of the kernel, of the wire."""
    kinds = {
        "tcp": (socket.AF_INET, socket.SOCK_STREAM),
        "udp": (socket.AF_INET6, socket.SOCK_DGRAM),
        "unix": (socket.AF_UNIX, socket.SOCK_STREAM),
        "netlink": (socket.AF_NETLINK, socket.SOCK_RAW),
        "packet": (socket.AF_PACKET, socket.SOCK_RAW),
    }
    return {
        f"socket {name}": lambda kind=kind: socket.socket(*kind) for name, kind in kinds.items()
    }


def processes() -> Attempts:
    def fork_500_times() -> int:
        for _ in range(500):
            if os.fork() == 0:
                os._exit(0)
        return 500

    return {
        "fork": fork_500_times,
        "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "clone3": lambda: checked(435, 0, 0),
    }


def the_parent(parent: int) -> Attempts:
    proc = Path(f"/proc/{parent}")
    buffer = ctypes.create_string_buffer(READ_ONLY_BYTES)
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), READ_ONLY_BYTES)
    where = ctypes.addressof(vector)
    return {
        "processes": lambda: list(Path("/proc").iterdir()),
        "environment": (proc / "environ").read_bytes,
        "memory": lambda: (proc / "mem").open("rb"),
        "descriptors": lambda: list((proc / "fd").iterdir()),
        "command line": (proc / "cmdline").read_bytes,
        "read its memory": lambda: checked(
            READ_MEMORY[os.uname().machine], parent, where, 1, where, 1, 0
        ),
        "attach": lambda: traced(parent),
        "signal": lambda: os.kill(parent, signal.SIGUSR2),
        "signal by a pipe": lambda: fcntl.fcntl(0, fcntl.F_SETOWN, parent),
        "choose that signal": lambda: fcntl.fcntl(0, fcntl.F_SETSIG, signal.SIGUSR2),
        "signal by a socket": lambda: fcntl.ioctl(socket.socketpair()[0], 0x8901, pid_of(parent)),
        "outlive it": lambda: checked({"x86_64": 157, "aarch64": 167}[os.uname().machine], 1, 0),
        "signal everybody": lambda: os.kill(-1, signal.SIGUSR2),
        "limits": lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE, (3, 3)),
        "priority": lambda: os.setpriority(os.PRIO_PROCESS, parent, 19),
    }


def pid_of(process: int) -> bytes:
    return process.to_bytes(4, "little")


def reading(goal: dict[str, str]) -> Attempts:
    files = ("/etc/shadow", "/etc/passwd", goal["database"], goal["project"] + "/manage.py")
    folders = ("/", "/tmp", "/root", "/home", goal["folder"], goal["others room"], "..")
    return {
        **{f"read {path}": Path(path).read_bytes for path in files},
        **{f"list {path}": lambda path=path: list(Path(path).iterdir()) for path in folders},
    }


def writing(goal: dict[str, str]) -> Attempts:
    Path("mine").write_text("mine")
    database, outside = Path(goal["database"]), Path(goal["folder"], "outside")
    return {
        "create in /tmp": Path(f"/tmp/docmill-hostile-{os.getpid()}").touch,
        "create outside": outside.touch,
        "create above": Path("../outside").touch,
        "create in memory": Path(f"/dev/shm/docmill-hostile-{os.getpid()}").touch,
        "create in another's room": Path(goal["others room"], "outside").touch,
        "make a folder outside": outside.mkdir,
        "append": lambda: database.open("a"),
        "truncate": lambda: os.truncate(database, 0),
        "open up": lambda: database.chmod(0o777),
        "backdate": lambda: os.utime(database, (0, 0)),
        "remove": database.unlink,
        "move out": lambda: Path("mine").rename(outside),
        "move in": lambda: database.rename("stolen"),
        "link out": lambda: outside.hardlink_to("mine"),
        "link in": lambda: Path("stolen").hardlink_to(database),
        "symlink": lambda: Path("alias").symlink_to(database),
        "pipe": lambda: os.mkfifo("pipe"),
        "mount": lambda: checked({"x86_64": 165, "aarch64": 40}[os.uname().machine], 0, 0, 0, 0),
    }


def own_work() -> str:
    """What a processor may do: files and folders of its own, threads, memory."""
    Path("folder").mkdir()
    Path("mine").rename("folder/mine")
    Path("folder/mine").write_text("rewritten")
    Path(os.devnull).write_text("nothing")
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(Path("folder/mine").read_text()))
    thread.start()
    thread.join()
    mmap.mmap(-1, 4096).close()
    return seen[0]


def checked(number: int, *arguments: int) -> int:
    """The raw system call. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    answer = libc.syscall(*(ctypes.c_long(word) for word in (number, *arguments)))
    if answer < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return int(answer)


def traced(pid: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(ctypes.c_long(ATTACH), ctypes.c_long(pid), None, None) < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return pid
