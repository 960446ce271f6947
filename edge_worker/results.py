"""What is asked of the model process and what it returns: plain values, so that the worker imports no numeric library.

Both travel as JSON plus blobs (:mod:`edge_worker.ipc`), never as pickles.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

_OBJECTS_PER_JSON = 5  # bytes of Python objects per byte of JSON in a labels body without run lengths, measured

ColormapFormat = Literal["palette-png", "rgb-png", "jpeg"]


@dataclass(frozen=True, slots=True)
class OutputRequest:
    """What is wanted of one frame; hashable, so that together with the payload's hash it is the key of a cached result."""

    colormap: ColormapFormat | None = "palette-png"
    labels: bool = True
    masks: Literal["none", "rle"] = "none"
    instances: Literal["none", "raw"] = "none"
    overlay: bool = False
    alpha: float = 0.5  # weight of the colours in the overlay, 0–1
    quality: int = 85  # of JPEG outputs, 1–100
    score_threshold: float | None = None  # None: the model's own
    short_side: int | None = None  # pixels of the network input; None: the model's own


@dataclass(frozen=True, slots=True)
class EncodedResult:
    """One frame's results, encoded.

    Attributes:
        width, height: of the picture in displayed orientation, pixels.
        colormap: the encoded map, None where none was asked for.
        overlay: the encoded overlay (JPEG), None where none was asked for.
        body: ``image, labels, persons, unassigned`` and, if asked for, ``instances``: plain JSON values, the part of the
            labels message that depends on the picture alone. Empty where no labels were asked for.
        timings_ms: of ``decode, preprocess, inference, postprocess, render, encode``.
    """

    width: int
    height: int
    colormap: bytes | None
    overlay: bytes | None
    body: dict[str, Any]
    timings_ms: dict[str, float]

    @property
    def size(self) -> int:
        """About how many bytes of memory this takes: what a cache must count."""
        encoded = len(self.colormap or b"") + len(self.overlay or b"")
        return encoded + _OBJECTS_PER_JSON * len(json.dumps(self.body))


@dataclass(frozen=True, slots=True)
class ModelCardFacts:
    """What the model process says of the model it loaded, for the retained model card.

    Attributes:
        name, sha256: of the model directory.
        engine, precision: what runs.
        reason: why that engine and precision were chosen.
        classes: names in index order; colors: their ``#rrggbb``, same order and length.
        threads: ``requested`` and ``effective``, each name → number, list or null.
        warning: a sentence for users, where the model needs one (seeded weights: its labels mean nothing).
    """

    name: str
    sha256: str
    engine: str
    precision: str
    reason: str
    classes: tuple[str, ...]
    colors: tuple[str, ...]
    threads: dict[str, dict[str, Any]]
    warning: str = ""
