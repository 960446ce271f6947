"""Kinds of file damage, each a function that damages a file, given another file of its kind."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def _flip_a_byte(file: Path, _other: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _cut_off(file: Path, _other: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _empty(file: Path, _other: Path) -> None:
    file.write_bytes(b"")


def _swap(file: Path, other: Path) -> None:
    shutil.copyfile(other, file)


def _directory_instead(file: Path, _other: Path) -> None:
    file.unlink()
    (file / "something").mkdir(parents=True)


DAMAGES: Final[Mapping[str, Callable[[Path, Path], None]]] = {
    "a byte flipped": _flip_a_byte,
    "cut off": _cut_off,
    "empty": _empty,
    "another's": _swap,
    "a directory": _directory_instead,
}
