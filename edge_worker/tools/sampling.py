"""Images for calibration and for the gate: neither too few nor too many, spread evenly over those given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_worker.common.errors import DecodeError, EdgeWorkerError
from edge_worker.common.image_formats import DecodeLimits
from edge_worker.imaging.decoder import check, decode, read_file
from edge_worker.imaging.headers import FORMATS, Header
from edge_worker.tools.image_files import find_all_there

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edge_worker.imaging.arrays import RgbImage

# Maximum and minimum number of images: more only take longer, fewer prove nothing.
_MOST, _LEAST = 100, 8

_LIMITS = DecodeLimits(max_payload_bytes=200_000_000, max_pixels=100_000_000, formats=FORMATS)


def sample(paths: Sequence[Path]) -> list[Path]:
    """Return the images in *paths* (files and folders), at most a hundred of them.

    Raises:
        EdgeWorkerError: there are too few, or one of *paths* is missing.
    """
    return spread(_enough(paths), _MOST)


def split(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the images in *paths* as two disjoint samples.

    Raises:
        EdgeWorkerError: there are too few, or one of *paths* is missing.
    """
    found = _enough(paths)
    return spread(found[::2], _MOST), spread(found[1::2], _MOST)


def spread(files: Sequence[Path], most: int) -> list[Path]:
    """Return at most *most* of *files*, evenly spaced."""
    return [files[index * len(files) // most] for index in range(most)] if len(files) > most else list(files)


def read(file: Path) -> RgbImage:
    """Read the image in *file*, RGB uint8 H×W×3.

    Raises:
        EdgeWorkerError: it cannot be decoded.
    """
    try:
        return decode(read_file(file, _LIMITS), _LIMITS)
    except DecodeError as error:
        raise EdgeWorkerError(f"{file}: {error}") from error


def read_by_size(files: Sequence[Path]) -> Iterator[RgbImage]:
    """Yield the images in *files*, grouped by size: networks are compiled for few sizes at a time.

    Raises:
        EdgeWorkerError: one cannot be decoded.
    """
    return map(read, sorted(files, key=_size))


def _size(file: Path) -> tuple[int, int]:
    try:
        header: Header = check(read_file(file, _LIMITS), _LIMITS)
    except DecodeError:
        return 0, 0  # the error is reported when it is read; it comes first
    return header.width, header.height


def _enough(paths: Sequence[Path]) -> list[Path]:
    found = find_all_there(paths)
    if len(found) < _LEAST:
        raise EdgeWorkerError(f"{len(found)} images there; {_LEAST} are the least that says anything, 100 are good")
    return found
