"""The filter as the kernel would run it, for both machines; `test_escape` has the kernel run it."""

import errno
import os
import struct

import pytest

from apps.processors import seccomp
from apps.processors.seccomp import ALLOW, REFUSE, UNKNOWN, Instruction, program

pytestmark = pytest.mark.once

X86, ARM = "x86_64", "aarch64"
PID = 4711
THREAD_FLAGS = 0x3D0F00  # of pthread_create
FORK_FLAGS = 0x01200011


def answer(
    machine: str, call: int, argument: int = 0, second: int = 0, *, architecture: int | None = None
) -> int:
    door = seccomp.AUDIT_ARCHITECTURES[machine] if architecture is None else architecture
    data = struct.pack("<IIQQQ", call, door, 0, argument, second)
    return run(program(machine, PID), data)


def run(instructions: list[Instruction], data: bytes) -> int:
    """`struct seccomp_data` through a filter of the five kinds of instructions that ours has."""
    value, at = 0, 0
    while True:
        step = instructions[at]
        at += 1
        if step.code == seccomp.BPF_RETURN:
            return int(step.operand)
        if step.code == seccomp.BPF_LOAD:
            (value,) = struct.unpack_from("<I", data, step.operand)
            continue
        holds = {
            seccomp.BPF_JUMP_IF_EQUAL: value == step.operand,
            seccomp.BPF_JUMP_IF_ABOVE: value > step.operand,
            seccomp.BPF_JUMP_IF_BITS: bool(value & step.operand),
        }[step.code]
        at += step.if_true if holds else step.if_false


@pytest.mark.parametrize(
    ("machine", "call", "argument", "expected"),
    [
        (X86, 0, 0, ALLOW),  # read
        (ARM, 63, 0, ALLOW),
        (X86, 41, 2, REFUSE),  # socket
        (ARM, 198, 2, REFUSE),
        (X86, 59, 0, REFUSE),  # execve
        (ARM, 221, 0, REFUSE),
        (X86, 57, 0, REFUSE),  # fork
        (X86, 56, FORK_FLAGS, REFUSE),  # clone
        (ARM, 220, FORK_FLAGS, REFUSE),
        (X86, 56, THREAD_FLAGS, ALLOW),
        (ARM, 220, THREAD_FLAGS, ALLOW),
        (X86, 435, 0, UNKNOWN),  # clone3
        (ARM, 435, 0, UNKNOWN),
        (X86, 62, PID, ALLOW),  # kill
        (X86, 62, 1, REFUSE),
        (ARM, 129, PID, ALLOW),
        (ARM, 129, 2**32 - 1, REFUSE),  # everybody
        (X86, 302, 0, ALLOW),  # prlimit64
        (X86, 302, PID + 1, REFUSE),
        (X86, 446, 0, ALLOW),  # landlock_restrict_self
        (X86, 449, 0, UNKNOWN),
        (X86, 0x40000000, 0, UNKNOWN),  # x32
    ],
)
def test_what_is_refused(machine: str, call: int, argument: int, expected: int) -> None:
    assert answer(machine, call, argument) == expected


@pytest.mark.parametrize(
    ("machine", "call", "argument", "second", "expected"),
    [
        (X86, 72, 0, 1, ALLOW),  # fcntl: F_GETFD
        (X86, 72, 0, 8, REFUSE),
        (X86, 72, 0, 10, REFUSE),
        (ARM, 25, 0, 15, REFUSE),
        (ARM, 29, 0, 0x5401, ALLOW),  # ioctl: TCGETS
        (X86, 16, 0, 0x8901, REFUSE),
        (ARM, 29, 0, 0x8902, REFUSE),
        (X86, 157, 1, 9, ALLOW),  # prctl
        (X86, 157, 1, 0, REFUSE),
        (ARM, 167, 1, 15, REFUSE),
        (ARM, 167, 38, 1, ALLOW),
    ],
)
def test_what_is_refused_by_its_second_argument(
    machine: str, call: int, argument: int, second: int, expected: int
) -> None:
    assert answer(machine, call, argument, second) == expected


def test_no_call_comes_by_the_door_of_another_machine() -> None:
    of_32_bits = 0x40000003
    assert answer(X86, 0, architecture=of_32_bits) == REFUSE
    assert answer(X86, 0, architecture=seccomp.AUDIT_ARCHITECTURES[ARM]) == REFUSE


def test_no_call_is_listed_twice() -> None:
    for column in (0, 1):
        numbers = [call[column] for call in seccomp.REFUSED.values() if call[column] is not None]
        assert len(numbers) == len(set(numbers))


def test_other_machines_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "MACHINES", ())
    assert not seccomp.refuse_calls()
    os.close(os.open(os.devnull, os.O_RDONLY))


def test_a_refusal_is_no_permission() -> None:
    assert (REFUSE & 0xFFFF, UNKNOWN & 0xFFFF) == (errno.EACCES, errno.ENOSYS)
