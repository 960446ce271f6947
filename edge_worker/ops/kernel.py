"""System calls that Python does not wrap."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Any

from edge_worker.common.platforms import IS_LINUX, c_function

_PR_SET_NO_NEW_PRIVS = 38  # <linux/prctl.h>
# <linux/capability.h>: sets of 64 capabilities in two words each of effective, permitted, inheritable.
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1 << 1


def prctl(option: int, *arguments: int) -> None:
    """Change a property of this process (prctl(2)); addresses are passed as numbers.

    Raises:
        OSError: the kernel refuses.
    """
    words = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    if _function("prctl")(option, *words) != 0:
        raise _last_error()


def syscall(number: int, *arguments: int) -> int:
    """Make a system call by its number; returns its result.

    Raises:
        OSError: the kernel refuses it, or does not have it.
    """
    result = int(_function("syscall")(ctypes.c_long(number), *(ctypes.c_ulong(argument) for argument in arguments)))
    if result < 0:
        raise _last_error()
    return result


def forbid_new_privileges() -> None:
    """Set no_new_privs, which the kernel requires of unprivileged processes before Landlock and seccomp.

    Raises:
        OSError: the kernel refuses.
    """
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Drop all capabilities of root except opening files of other users, which Landlock limits.

    Has no effect for other users.

    Raises:
        OSError: the kernel refuses.
    """
    if os.geteuid() != 0:
        return
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    kept = struct.pack("=6I", _CAP_DAC_OVERRIDE, _CAP_DAC_OVERRIDE, 0, 0, 0, 0)
    if _function("capset")(header, kept) != 0:
        raise _last_error()


def _function(name: str) -> Any:  # noqa: ANN401 - ctypes creates a function for any name
    function = c_function(name) if IS_LINUX else None  # the numbers are Linux's
    if function is None:
        raise OSError(errno.ENOSYS, f"there is no {name} on this platform")
    return function


def _last_error() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))
