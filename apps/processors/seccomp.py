"""The filter of system calls: what a reader of documents never needs is refused by the kernel.

A list of what is refused, not of what is allowed: libraries of seven languages run behind it, and
what they call changes with each release. Calls newer than the list do not exist behind it. Numbers
are those of asm/unistd_64.h (x86-64) and asm-generic/unistd.h (arm64).
"""

import ctypes
import errno
import os
import signal

from apps.processors.linux import prctl

PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
CLONE_THREAD = 0x00010000
NEWEST_JUDGED = 448
"""Higher numbers, those of the x32 door among them, are answered as an older kernel would."""

AUDIT_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINES = tuple(AUDIT_ARCHITECTURES)

# Per call its number on x86-64 and on arm64; None where there is no such call.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # network; io_uring could open sockets past the filter
    "socket": (41, 198),
    "io_uring_setup": (425, 425),
    # programs and processes
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    # other processes of the same user: their memory, descriptors, limits, priority
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "kcmp": (312, 272),
    "tkill": (200, 130),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    # memory and queues shared with other processes by number or name
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    # what Landlock lets through: owner, mode, times and attributes of files anywhere
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "truncate": (76, 45),
    # file systems and namespaces
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    # the kernel itself, by doors that have been broken before or are for administrators
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "acct": (163, 89),
    "syslog": (103, 116),
    "personality": (135, 92),
    "vhangup": (153, 58),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
}
# Threads are started with this one; what starts a process is refused.
CLONE = (56, 220)
# Its flags lie in memory, where a filter cannot look. As absent, the C library takes `clone`.
CLONE3 = (435, 435)
# First argument a process: its own is allowed, `abort` needs that.
OWN_PROCESS_ONLY = {
    "kill": (62, 129),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
}
# First argument a process, 0 for one's own.
PRLIMIT = (302, 261)
# A process may be asked to be sent a signal, any, when there is something to read: F_SETOWN,
# F_SETSIG, F_SETOWN_EX of fcntl.h; FIOSETOWN, SIOCSPGRP of asm/sockios.h. By second argument.
REFUSED_COMMANDS = {"fcntl": ((72, 25), (8, 10, 15)), "ioctl": ((16, 29), (0x8901, 0x8902))}
# To die with the parent may be asked for again (after the user changed), never taken back.
PRCTL = (157, 167)
PR_SET_PDEATHSIG = 1

BPF_LOAD = 0x20
BPF_JUMP_IF_EQUAL = 0x15
BPF_JUMP_IF_ABOVE = 0x25
BPF_JUMP_IF_BITS = 0x45
BPF_RETURN = 0x06
# Offsets in `struct seccomp_data`; both machines put the low half of an argument first.
CALL_NUMBER_AT = 0
ARCHITECTURE_AT = 4
FIRST_ARGUMENT_AT = 16
SECOND_ARGUMENT_AT = 24

ALLOW = 0x7FFF0000
REFUSE = 0x00050000 | errno.EACCES
UNKNOWN = 0x00050000 | errno.ENOSYS


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


def refuse_calls() -> bool:
    """Put the filter over this thread and what it starts. Whether the kernel took it.

    Needs no rights once the process may never gain any (no_new_privs).
    """
    machine = os.uname().machine
    if machine not in MACHINES:
        return False
    instructions = program(machine, os.getpid())
    array = (Instruction * len(instructions))(*instructions)
    passed = Program(len(instructions), array)
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(passed))


def program(machine: str, pid: int) -> list[Instruction]:
    """The filter for a process `pid`. Calls by another architecture's door are refused too."""
    column = MACHINES.index(machine)
    instructions = [
        Instruction(BPF_LOAD, 0, 0, ARCHITECTURE_AT),
        Instruction(BPF_JUMP_IF_EQUAL, 1, 0, AUDIT_ARCHITECTURES[machine]),
        Instruction(BPF_RETURN, 0, 0, REFUSE),
        Instruction(BPF_LOAD, 0, 0, CALL_NUMBER_AT),
        Instruction(BPF_JUMP_IF_ABOVE, 0, 1, NEWEST_JUDGED),
        Instruction(BPF_RETURN, 0, 0, UNKNOWN),
        *_answered(CLONE3[column], UNKNOWN),
        *_only_where(CLONE[column], BPF_JUMP_IF_BITS, CLONE_THREAD),
        *_only_where(PRLIMIT[column], BPF_JUMP_IF_EQUAL, 0),
        *_dying_with_parent(PRCTL[column]),
    ]
    for of_machines, commands in REFUSED_COMMANDS.values():
        instructions += _without(of_machines[column], commands)
    for numbers in OWN_PROCESS_ONLY.values():
        instructions += _only_where(numbers[column], BPF_JUMP_IF_EQUAL, pid)
    for call in (numbers[column] for numbers in REFUSED.values()):
        if call is not None:
            instructions += _answered(call, REFUSE)
    return [*instructions, Instruction(BPF_RETURN, 0, 0, ALLOW)]


def _answered(call: int, answer: int) -> list[Instruction]:
    return [
        Instruction(BPF_JUMP_IF_EQUAL, 0, 1, call),
        Instruction(BPF_RETURN, 0, 0, answer),
    ]


def _without(call: int, commands: tuple[int, ...]) -> list[Instruction]:
    """Refuse `call` with one of `commands` as second argument."""
    return [
        Instruction(BPF_JUMP_IF_EQUAL, 0, len(commands) + 3, call),
        Instruction(BPF_LOAD, 0, 0, SECOND_ARGUMENT_AT),
        *(
            Instruction(BPF_JUMP_IF_EQUAL, left, 0, command)
            for left, command in zip(range(len(commands), 0, -1), commands, strict=True)
        ),
        Instruction(BPF_RETURN, 0, 0, ALLOW),
        Instruction(BPF_RETURN, 0, 0, REFUSE),
    ]


def _dying_with_parent(call: int) -> list[Instruction]:
    """Refuse to choose another signal than SIGKILL for the parent's death, or none."""
    return [
        Instruction(BPF_JUMP_IF_EQUAL, 0, 6, call),
        Instruction(BPF_LOAD, 0, 0, FIRST_ARGUMENT_AT),
        Instruction(BPF_JUMP_IF_EQUAL, 0, 2, PR_SET_PDEATHSIG),
        Instruction(BPF_LOAD, 0, 0, SECOND_ARGUMENT_AT),
        Instruction(BPF_JUMP_IF_EQUAL, 0, 1, signal.SIGKILL),
        Instruction(BPF_RETURN, 0, 0, ALLOW),
        Instruction(BPF_RETURN, 0, 0, REFUSE),
    ]


def _only_where(call: int, test: int, operand: int) -> list[Instruction]:
    """Refuse `call` unless its first argument passes the test."""
    return [
        Instruction(BPF_JUMP_IF_EQUAL, 0, 4, call),
        Instruction(BPF_LOAD, 0, 0, FIRST_ARGUMENT_AT),
        Instruction(test, 1, 0, operand),
        Instruction(BPF_RETURN, 0, 0, REFUSE),
        Instruction(BPF_RETURN, 0, 0, ALLOW),
    ]
