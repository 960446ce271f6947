"""Packs of images: what is written when, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

from training.cache import Pack


def plain(value: int) -> npt.NDArray[np.uint8]:
    """A small image of one value."""
    return np.full((4, 4), value, dtype=np.uint8)


def test_an_incomplete_pack_replaces_nothing(tmp_path: Path) -> None:
    """An error while it is written leaves the earlier one; a pack without images is an error."""
    path = tmp_path / "pack.bin"
    Pack.write(path, [("one", plain(7))])

    def broken() -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
        yield "two", plain(9)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Pack.write(path, broken())
    assert (Pack(path).names, int(Pack(path)[0].max())) == (["one"], 7)
    with pytest.raises(ValueError, match="no images"):
        Pack.write(path, [])
    with pytest.raises(ValueError, match="two images named two"):
        Pack.write(path, [("two", plain(8)), ("two", plain(9))])
    Pack.write(path, [("two", plain(9))])
    assert (Pack(path).names, int(Pack(path)[0].max())) == (["two"], 9)
