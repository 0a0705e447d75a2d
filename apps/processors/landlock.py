"""Landlock: the kernel's list of the files and folders a process may still reach.

By descriptors of folders, whatever names lead there; everything else is refused, /proc included,
and so are other processes (ptrace, and signals where the kernel offers it) and TCP. See
landlock(7). What is open already stays usable. Kernels before 5.13 have none.
"""

import contextlib
import ctypes
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from apps.processors.linux import IS_LINUX, syscall

CREATE_RULESET = 444
ADD_RULE = 445
RESTRICT_SELF = 446
GIVE_VERSION = 1
PATH_BENEATH = 1

WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
REMOVE_DIR = 1 << 4
REMOVE_FILE = 1 << 5
MAKE_DIR = 1 << 7
MAKE_REG = 1 << 8
REFER = 1 << 13
TRUNCATE = 1 << 14

READ = READ_FILE | READ_DIR
OF_FILES = READ_FILE | WRITE_FILE | TRUNCATE
# No programs, links, pipes or devices.
WRITE = READ | OF_FILES | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER

# What a version of the interface can refuse: the number of rights to files; the bits for TCP
# (bind, connect); those for abstract sockets and signals to processes outside.
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
NETWORK_SINCE, NETWORK = 4, 0b11
SCOPE_SINCE, SCOPE = 6, 0b11

SYSTEM = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share"),
    *("/usr/local/lib", "/usr/local/share", "/nix/store"),
    *("/etc/fonts", "/etc/ld.so.cache", "/etc/localtime", "/var/cache/fontconfig"),
    *("/dev/random", "/dev/urandom", "/dev/zero"),
)
"""Libraries, fonts, language data and time zones. Not /usr: services are installed there too."""


class RulesetAttributes(ctypes.Structure):
    """`struct landlock_ruleset_attr` of linux/landlock.h."""

    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scope", ctypes.c_uint64),
    )


class PathBeneath(ctypes.Structure):
    """`struct landlock_path_beneath_attr`."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("access", ctypes.c_uint64), ("folder", ctypes.c_int32))


class Fence:
    """Built while folders can be reached, closed later. Of `readable` and `writable`, whole
    folders or single files, those that cannot be reached are passed over."""

    def __init__(self, *, readable: Iterable[str | Path], writable: Iterable[str | Path]) -> None:
        self.version = version()
        self._ruleset = -1
        if self.version:
            self._handled = (1 << FILE_RIGHTS.get(self.version, 16)) - 1
            self._ruleset = self._create()
            for path in (*SYSTEM, *readable):
                self._allow(path, READ)
            for path in ("/dev/null", *writable):
                self._allow(path, WRITE)

    def close(self) -> str:
        """Restrict this thread and what it starts for good. Says what is in force.

        "landlock N" by the version of the interface; "partly" when other threads run already,
        which stay as they were; "open". By what was seen to work. Needs no_new_privs.
        """
        if self._ruleset < 0:
            return "open"
        threads = len(list(Path("/proc/self/task").iterdir()))
        syscall(RESTRICT_SELF, self._ruleset, 0)
        os.close(self._ruleset)
        if _can_look_around():
            return "open"
        return f"landlock {self.version}" if threads == 1 else "partly"

    def _create(self) -> int:
        attributes = RulesetAttributes(
            files=self._handled,
            network=NETWORK if self.version >= NETWORK_SINCE else 0,
            scope=SCOPE if self.version >= SCOPE_SINCE else 0,
        )
        # An older kernel takes fields it does not know as long as they are zero.
        size = ctypes.sizeof(attributes)
        return syscall(CREATE_RULESET, ctypes.addressof(attributes), size, 0)

    def _allow(self, path: str | Path, access: int) -> None:
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
                rights = access if is_folder else access & OF_FILES
                rule = PathBeneath(access=rights & self._handled, folder=descriptor)
                syscall(ADD_RULE, self._ruleset, PATH_BENEATH, ctypes.addressof(rule), 0)
            finally:
                os.close(descriptor)


def version() -> int:
    """The highest version of the interface this kernel offers; 0 for none."""
    return max(syscall(CREATE_RULESET, 0, 0, GIVE_VERSION), 0) if IS_LINUX else 0


def _can_look_around() -> bool:
    try:
        os.scandir("/").close()
    except OSError:
        return False
    return True
