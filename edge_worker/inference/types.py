"""What is asked of the model process and what it returns: plain values, so that the worker imports no numeric library.

Both travel as JSON plus blobs (:mod:`edge_worker.inference.ipc`), never as pickles.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_worker.config import Config
    from edge_worker.ops.threads import ThreadPlan

_OBJECTS_PER_JSON = 3  # bytes of Python objects per byte of JSON in a labels body without run lengths, measured

_PICTURES = ("colormap", "overlay")

ColormapFormat = Literal["palette-png", "rgb-png", "jpeg"]


@dataclass(frozen=True, slots=True)
class OutputRequest:
    """What is wanted of one frame; hashable: a part of the key of a cached result."""

    colormap: ColormapFormat | None = "palette-png"
    labels: bool = True
    masks: Literal["none", "rle"] = "none"
    instances: Literal["none", "raw"] = "none"
    overlay: bool = False
    alpha: float = 0.5  # weight of the colours in the overlay, 0-1
    quality: int = 85  # of JPEG outputs, 1-100
    overlay_bytes: int | None = None  # at most; made smaller until it fits, and left out where it cannot
    score_threshold: float | None = None  # None: the model's own


@dataclass(frozen=True, slots=True)
class EncodedResult:
    """One frame's results, encoded.

    Attributes:
        width, height: of the picture in displayed orientation, pixels.
        colormap: the encoded map, None where none was asked for.
        overlay: the encoded overlay (JPEG), None where none was asked for.
        body: ``image, labels, persons, unassigned`` and, if asked for, ``instances``: plain JSON values, the part of
            the labels message that depends on the picture alone. Empty where no labels were asked for.
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

    def to_wire(self) -> tuple[dict[str, Any], tuple[bytes, ...]]:
        """The result as a message: a header of plain JSON values, and the pictures."""
        pictures = {name: getattr(self, name) for name in _PICTURES if getattr(self, name) is not None}
        header = {name: getattr(self, name) for name in ("width", "height", "body", "timings_ms")}
        return {**header, "pictures": list(pictures)}, tuple(pictures.values())

    @classmethod
    def from_wire(cls, header: Mapping[str, Any], blobs: tuple[bytes, ...]) -> EncodedResult:
        """The result that :meth:`to_wire` wrote.

        Raises:
            LookupError, TypeError, ValueError: it was not that.
        """
        pictures: dict[str, bytes] = dict(zip(header["pictures"], blobs, strict=True))
        return cls(
            width=int(header["width"]),
            height=int(header["height"]),
            colormap=pictures.get("colormap"),
            overlay=pictures.get("overlay"),
            body=dict(header["body"]),
            timings_ms={str(phase): float(ms) for phase, ms in dict(header["timings_ms"]).items()},
        )


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What a model process is told when it starts: which model, how it is run, and what a frame may be.

    Attributes:
        model: ``path, engine, precision, short_side, shapes, score_threshold``, as in the configuration.
        palette: class name → ``#rrggbb``, for the classes whose colour differs from the model's.
        limits: ``max_payload_bytes, max_pixels, formats``.
        threads: a :class:`edge_worker.ops.threads.ThreadPlan`, as it writes itself.
        requested_threads: the section ``threads`` of the configuration, for the model card.
        cache_directory: where compiled networks are kept; None: nowhere.
    """

    model: dict[str, Any]
    palette: dict[str, str]
    limits: dict[str, Any]
    threads: dict[str, Any]
    requested_threads: dict[str, Any]
    cache_directory: str | None

    @classmethod
    def from_config(cls, config: Config, plan: ThreadPlan, cache_directory: Path | None) -> ModelSettings:
        """What the configuration says, with the threads of *plan*."""
        return cls(
            model=config.model.model_dump(mode="json"),
            palette=dict(config.palette),
            limits={
                "max_payload_bytes": config.limits.max_payload_bytes,
                "max_pixels": config.limits.max_pixels,
                "formats": list(config.limits.formats),
            },
            threads=plan.to_wire(),
            requested_threads=config.threads.model_dump(mode="json"),
            cache_directory=None if cache_directory is None else str(cache_directory),
        )


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
        sandbox: what :meth:`edge_worker.ops.sandbox.Sandbox.enter` said; added by the model process.
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
    sandbox: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> ModelCardFacts:
        """The facts that ``dataclasses.asdict`` made plain.

        Raises:
            LookupError, TypeError: it was not that.
        """
        sandbox = {"in_force": list(wire["sandbox"]["in_force"]), "refused": dict(wire["sandbox"]["refused"])}
        return cls(**{**wire, "classes": tuple(wire["classes"]), "colors": tuple(wire["colors"]), "sandbox": sandbox})
