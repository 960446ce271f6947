"""A system call filter that denies new sockets and keeps those already open (seccomp(2)).

Chosen over a network namespace, which needs a user namespace: systemd's ``RestrictNamespaces=``, Docker's default
profile and Ubuntu's AppArmor policy refuse those to an unprivileged process. A filter is allowed everywhere, since it
can only remove permissions.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge_worker.ops.kernel import prctl, syscall

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Denied: new sockets, and io_uring, which opens them in spite of this filter; access to other processes of the same
# user. Each call has its numbers on x86-64 and on aarch64, from <asm/unistd.h>.
_DENIED: Final[Mapping[str, tuple[int, int]]] = {
    "socket": (41, 198),
    "io_uring_setup": (425, 425),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
}


@dataclass(frozen=True, slots=True)
class _Machine:
    """An architecture: ``AUDIT_ARCH`` (<linux/audit.h>), its column in ``_DENIED``, and its number of seccomp(2)."""

    audit: int
    column: int
    seccomp: int


_MACHINES: Final = {"x86_64": _Machine(0xC000003E, 0, 317), "aarch64": _Machine(0xC00000B7, 1, 277)}
_X32: Final = 0x40000000  # bit in the numbers of the x32 ABI of x86-64; numbers of other ABIs are lower

# <linux/seccomp.h>, <linux/prctl.h>
_SET_MODE_FILTER, _FLAG_SPEC_ALLOW = 1, 4
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_RET_ALLOW, _RET_ERRNO = 0x7FFF0000, 0x00050000
# Classic BPF (<linux/bpf_common.h>): load a word of struct seccomp_data, jump if equal, jump if at least, return.
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_AT_NUMBER, _AT_ARCHITECTURE = 0, 4
_INSTRUCTION = struct.Struct("=HBBI")  # code, instructions to skip if true, if false, operand


def deny_network() -> None:
    """Deny the system calls above (EPERM) to this thread, and to threads and processes that it starts.

    Irrevocable. Call it after :func:`edge_worker.ops.kernel.forbid_new_privileges`, before other threads run.

    Raises:
        OSError: the kernel refuses, or there is no filter for this architecture.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None or struct.calcsize("P") != struct.calcsize("Q"):
        raise OSError(errno.ENOSYS, f"no filter is written for {platform.machine()}")
    program = _program(machine.audit, [numbers[machine.column] for numbers in _DENIED.values()])
    code = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program) // _INSTRUCTION.size, ctypes.addressof(code)))
    try:
        # Before Linux 5.16 a filter enables a slow Spectre mitigation unless this flag is set.
        syscall(machine.seccomp, _SET_MODE_FILTER, _FLAG_SPEC_ALLOW, ctypes.addressof(header))
    except OSError:  # seccomp(2) is missing, or a filter of the service allows only prctl
        prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(header))


def _program(audit: int, denied: Iterable[int]) -> bytes:
    """Return the filter: calls of other architectures and *denied* calls fail, all others are allowed."""
    tests = [(_EQUAL, number) for number in denied] + [(_AT_LEAST, _X32)]
    lines = [
        (_LOAD, 0, 0, _AT_ARCHITECTURE),
        (_EQUAL, 0, len(tests) + 2, audit),  # no: skip to the last line
        (_LOAD, 0, 0, _AT_NUMBER),
        *((code, len(tests) - place, 0, number) for place, (code, number) in enumerate(tests)),  # yes: to the last line
        (_RETURN, 0, 0, _RET_ALLOW),
        (_RETURN, 0, 0, _RET_ERRNO | errno.EPERM),
    ]
    return b"".join(_INSTRUCTION.pack(*line) for line in lines)
