"""Label Studio: tasks with brush predictions, and the labelling interface for them.

Brush masks are RGBA images in the run-length encoding of the npm package ``@thi.ng/rle-pack``. It is a stream of bits,
most significant first: the number of values (32 bits), the bits per value minus 1 (5), four sizes of run lengths in
bits, each minus 1 (4 × 4); then for each run a 1 for "repeated", the index of its size (2), its length minus 1, and the
value.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from edge_worker.tools.annotations.writer import Classes, JsonArray

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.types import BoolArray
    from edge_worker.tools.annotations.results import ParsedImage, Segment

_SIZES: Final = (3, 4, 8, 16)  # bits of a run length
_LONGEST: Final = 1 << _SIZES[-1]
_CHANNELS: Final = 4
FROM, TO = "tag", "image"
"""Names of the brush and the image in the labelling interface."""


class LabelStudio:
    """``tasks.json`` and ``interface.xml``; the images are in Label Studio's local files."""

    def __init__(self, folder: Path) -> None:
        """Write into *folder*."""
        self._folder = folder
        self._tasks, self._classes = JsonArray(), Classes()

    def add(self, image: ParsedImage) -> None:
        """Add an image."""
        self._classes.add(image)
        # Relative to the folder's parent: Label Studio does not accept its document root itself as local storage.
        address = f"/data/local-files/?d={quote(posixpath.join(image.folder, image.file_name))}"
        self._tasks.append({"data": {TO: address}, "predictions": [prediction(image)]})

    def close(self) -> None:
        """Write both files."""
        draft = self._folder / "tasks.json.part"
        with draft.open("w", encoding="utf-8") as out:
            self._tasks.write_to(out)
        draft.replace(self._folder / "tasks.json")
        labels = "".join(
            f"    <Label value={quoteattr(name)} background={quoteattr(color)}/>\n"
            for _, name, color in self._classes.items()
        )
        (self._folder / "interface.xml").write_text(
            f'<View>\n  <Image name="{TO}" value="${TO}" zoom="true"/>\n'
            f'  <BrushLabels name="{FROM}" toName="{TO}">\n{labels}  </BrushLabels>\n</View>\n',
            encoding="utf-8",
        )


def prediction(image: ParsedImage) -> dict[str, Any]:
    """Return the prediction for *image* in Label Studio's format."""
    scores = [segment.score for segment in image.segments]
    return {
        "model_version": "edge-worker",
        "score": min(scores, default=0.0),  # of the segment that most needs review
        "result": [_result(number, segment) for number, segment in enumerate(image.segments)],
    }


def _result(number: int, segment: Segment) -> dict[str, Any]:
    frame = segment.region.frame
    person = [] if segment.person is None else [f"person {segment.person}"]
    return {
        "id": f"segment-{number}",
        "type": "brushlabels",
        "from_name": FROM,
        "to_name": TO,
        "original_width": frame.width,
        "original_height": frame.height,
        "image_rotation": 0,
        "score": segment.score,
        "meta": {"text": person},
        "value": {"format": "rle", "rle": brush(segment.mask), "brushlabels": [segment.name]},
    }


def brush(mask: BoolArray) -> list[int]:
    """Encode *mask*, bool H×W, and return the bytes as numbers; its pixels are 255 in all four channels."""
    flat = mask.reshape(-1)
    edges = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]))
    bits = [f"{flat.size * _CHANNELS:032b}", f"{8 - 1:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    for start, length in zip(edges[:-1].tolist(), np.diff(edges).tolist(), strict=True):
        value = "11111111" if flat[start] else "00000000"
        bits += [_run(piece) + value for piece in _pieces(length * _CHANNELS)]
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def _pieces(length: int) -> list[int]:
    """Split a run into lengths that can be encoded."""
    whole, rest = divmod(length, _LONGEST)
    return [_LONGEST] * whole + [rest] * (rest > 0)


def _run(length: int) -> str:
    index = next(index for index, size in enumerate(_SIZES) if length <= 1 << size)
    return f"1{index:02b}{length - 1:0{_SIZES[index]}b}"
