"""Limits on a process's file access by Landlock (landlock(7), Linux 5.13, no privileges required).

Nor may a confined process read the memory and environment of processes outside or, from Linux 6.12 on, send them
signals.
"""

from __future__ import annotations

import ctypes
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_worker.ops.kernel import syscall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# System calls, the same on every architecture we run on, and their constants (<linux/landlock.h>).
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH = 1, 1
_WRITE_FILE, _READ_FILE = 1 << 1, 1 << 2
_CHANGE_DIRECTORY: Final = 0x1B0  # remove files and directories, create regular ones
_MAKE_OTHERS: Final = 0x1E40  # devices, sockets, pipes and links: opening one may block for ever, or lead elsewhere
_RENAME_ACROSS, _RENAME_ACROSS_SINCE = 1 << 13, 2
_TRUNCATE, _TRUNCATE_SINCE = 1 << 14, 3
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS, _SCOPES_SINCE = 1, 2, 6
_ON_A_FILE: Final = _WRITE_FILE | _READ_FILE | _TRUNCATE  # the rights that a rule about a single file may name


def confine(*, writable: Iterable[Path], hidden: Iterable[Path]) -> None:
    """Confine this thread, and threads and processes that it starts, irrevocably.

    They may write below *writable*, and read everything except *hidden* paths and what is below them.

    Landlock allows a path with everything below it, without exceptions. So a directory above a hidden path is not
    allowed as a whole, but each of its other entries is. Files added to such a directory later cannot be read, so a
    secret that is replaced by renaming stays hidden.

    Call it after :func:`edge_worker.ops.kernel.forbid_new_privileges`, before other threads run.

    Raises:
        OSError: the kernel has no Landlock, or refuses.
    """
    version = syscall(_CREATE_RULESET, 0, 0, _ASK_VERSION)
    secrets = {path.resolve() for path in hidden}
    ruleset = _create_ruleset(version)
    try:
        for path in writable:
            _allow(ruleset, path, _writing(version))
        for path in _all_but(secrets, Path("/")):
            _allow(ruleset, path, _READ_FILE)
        syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _writing(version: int) -> int:
    """Return the write access rights of this *version* of Landlock."""
    rights = _WRITE_FILE | _CHANGE_DIRECTORY
    rights |= _RENAME_ACROSS if version >= _RENAME_ACROSS_SINCE else 0
    return rights | (_TRUNCATE if version >= _TRUNCATE_SINCE else 0)


def _create_ruleset(version: int) -> int:
    """Create a ruleset for reading and writing of files, and signals; returns its file descriptor."""
    rights = _writing(version) | _READ_FILE | _MAKE_OTHERS
    attributes = struct.pack("=Q", rights)  # the fields of struct landlock_ruleset_attr that this version has
    if version >= _SCOPES_SINCE:
        attributes = struct.pack("=QQQ", rights, 0, _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS)
    memory = ctypes.create_string_buffer(attributes, len(attributes))
    return syscall(_CREATE_RULESET, ctypes.addressof(memory), len(attributes), 0)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    """Allow *rights* at *path* and below; missing or inaccessible paths need no rule."""
    with suppress(FileNotFoundError, PermissionError):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = struct.pack("=Qi", rights if path.is_dir() else rights & _ON_A_FILE, place)
            memory = ctypes.create_string_buffer(rule, len(rule))
            syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.addressof(memory), 0)
        finally:
            os.close(place)


def _all_but(hidden: set[Path], directory: Path) -> Iterator[Path]:
    """Yield the fewest paths that cover *directory* without *hidden*; links are skipped: their targets are covered."""
    if not any(directory in path.parents for path in hidden):
        yield directory
        return
    with suppress(PermissionError):
        for entry in os.scandir(directory):
            path = Path(entry.path)
            if path not in hidden and not entry.is_symlink():
                yield from _all_but(hidden, path)
