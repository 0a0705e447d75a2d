"""Calls of the Linux kernel that Python does not offer, by way of the C library."""

import ctypes
import sys

IS_LINUX = sys.platform.startswith("linux")


def prctl(option: int, argument: int, pointer: int = 0) -> bool:
    """Whether the call went well; False where there is no Linux."""
    if not IS_LINUX:
        return False
    unsigned = ctypes.c_ulong
    arguments = (unsigned(argument), unsigned(pointer), unsigned(0), unsigned(0))
    return bool(_libc().prctl(option, *arguments) == 0)


def unshare(flags: int) -> bool:
    """Whether the call went well; False where there is no Linux."""
    return IS_LINUX and bool(_libc().unshare(flags) == 0)


def syscall(number: int, *arguments: int) -> int:
    """The call's answer, or -1 when it is refused, unknown, or there is no Linux.

    `arguments` are numbers and addresses, each passed as a whole machine word.
    """
    if not IS_LINUX:
        return -1
    words = (ctypes.c_long(argument) for argument in (number, *arguments))
    return int(_libc().syscall(*words))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
