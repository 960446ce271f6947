"""Requests to the model process and its results: plain values, so that the worker imports no numeric library.

Both travel as JSON plus blobs (:mod:`edge_worker.inference.ipc`), never as pickles.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from edge_worker.common.image_formats import DecodeLimits
from edge_worker.inference.outputs import ImageRequest
from edge_worker.ops.threads import ThreadPlan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_worker.config import Config

_OBJECTS_PER_JSON = 3  # bytes of Python objects per byte of JSON in a labels body without run lengths, measured


@dataclass(frozen=True, slots=True)
class OutputRequest:
    """Request for one frame. Hashable, because it is part of the cache key.

    Attributes:
        images: each kind at most once.
        labels: whether to return the body of the labels message.
        masks, instances: as ``output.labels`` in the configuration.
        score_threshold: persons and parts with a lower score are left out; None: the model's own.
    """

    images: tuple[ImageRequest, ...] = (ImageRequest("colormap", "palette-png"),)
    labels: bool = True
    masks: Literal["none", "rle"] = "none"
    instances: Literal["none", "raw"] = "none"
    score_threshold: float | None = None

    def image(self, kind: str) -> ImageRequest | None:
        """Return the request for images of *kind*; None if there is none."""
        return next((image for image in self.images if image.kind == kind), None)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> OutputRequest:
        """Restore a request from ``dataclasses.asdict``."""
        return cls(**{**wire, "images": tuple(ImageRequest(**image) for image in wire["images"])})


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """One image of a result: kind, encoded file, and person if it shows one."""

    kind: str
    data: bytes
    person: int | None = None


@dataclass(frozen=True, slots=True)
class EncodedResult:
    """One frame's results, encoded.

    Attributes:
        width, height: of the frame in displayed orientation, pixels.
        images: the requested images, without those left out for their size.
        body: ``image, labels, persons, unassigned`` and, if requested, ``instances``: plain JSON values, the part of
            the labels message that depends on the frame alone. Empty if no labels were requested.
        timings_ms: of ``decode, preprocess, inference, postprocess, render, encode``.
    """

    width: int
    height: int
    images: tuple[EncodedImage, ...]
    body: dict[str, Any]
    timings_ms: dict[str, float]

    def image(self, kind: str) -> bytes | None:
        """Return the first image of *kind*; None if there is none."""
        return next((image.data for image in self.images if image.kind == kind), None)

    @property
    def size(self) -> int:
        """Approximate memory in bytes, for the cache."""
        encoded = sum(len(image.data) for image in self.images)
        return encoded + _OBJECTS_PER_JSON * len(json.dumps(self.body))

    def to_wire(self) -> tuple[dict[str, Any], tuple[bytes, ...]]:
        """Return the result as a message: a header of JSON values, and the images."""
        header = {name: getattr(self, name) for name in ("width", "height", "body", "timings_ms")}
        images = [[image.kind, image.person] for image in self.images]
        return {**header, "images": images}, tuple(image.data for image in self.images)

    @classmethod
    def from_wire(cls, header: Mapping[str, Any], blobs: tuple[bytes, ...]) -> EncodedResult:
        """Restore a result from :meth:`to_wire`.

        Raises:
            LookupError, TypeError, ValueError: the message is not a valid result.
        """
        images = zip(header["images"], blobs, strict=True)
        return cls(
            width=int(header["width"]),
            height=int(header["height"]),
            images=tuple(
                EncodedImage(str(kind), data, None if person is None else int(person))
                for (kind, person), data in images
            ),
            body=dict(header["body"]),
            timings_ms={str(phase): float(ms) for phase, ms in dict(header["timings_ms"]).items()},
        )


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The model and its engine settings, as in section ``model`` of the configuration."""

    path: str
    engine: str = "auto"
    precision: str = "auto"
    short_side: int | None = None
    shapes: int = 4


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Settings of a model process, sent when it starts.

    Attributes:
        model: the model to load.
        palette: class name → ``#rrggbb``, for the classes whose colour differs from the default.
        limits: the images to accept.
        threads: the thread limits of this process.
        requested_threads: the section ``threads`` of the configuration, for the model card.
        cache_directory: where compiled networks are kept; None: nowhere.
    """

    model: ModelChoice
    palette: dict[str, str]
    limits: DecodeLimits
    threads: ThreadPlan
    requested_threads: dict[str, Any]
    cache_directory: str | None

    @classmethod
    def from_config(cls, config: Config, plan: ThreadPlan, cache_directory: Path | None) -> ModelSettings:
        """Return the settings of the configuration, with the threads of *plan*."""
        model, limits = config.model, config.limits
        return cls(
            model=ModelChoice(model.path, model.engine, model.precision, model.short_side, model.shapes),
            palette=dict(config.palette),
            limits=DecodeLimits(limits.max_payload_bytes, limits.max_pixels, limits.formats),
            threads=plan,
            requested_threads=config.threads.model_dump(mode="json"),
            cache_directory=None if cache_directory is None else str(cache_directory),
        )

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> ModelSettings:
        """Restore settings from ``dataclasses.asdict``."""
        limits = {**wire["limits"], "formats": tuple(wire["limits"]["formats"])}
        typed = {
            "model": ModelChoice(**wire["model"]),
            "limits": DecodeLimits(**limits),
            "threads": ThreadPlan.from_wire(wire["threads"]),
        }
        return cls(**{**wire, **typed})


@dataclass(frozen=True, slots=True)
class ModelCardFacts:
    """Facts about the loaded model, for the retained model card.

    Attributes:
        name, sha256: of the model directory.
        engine, precision: in use.
        reason: why that engine and precision were chosen.
        classes: names in index order.
        colors: ``#rrggbb`` of each class, in the same order.
        threads: ``requested`` and ``effective``, each name → number, list or null.
        warning: a sentence for users, if the model needs one (seeded weights: its labels are meaningless).
        kernels: names of the compiled kernels that are loaded.
        sandbox: the outcome of :meth:`edge_worker.ops.sandbox.Sandbox.enter`; added by the model process.
        fingerprint: digest of everything besides payload and request that results depend on; not published.
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
    kernels: tuple[str, ...] = ()
    sandbox: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> ModelCardFacts:
        """Restore facts from ``dataclasses.asdict``.

        Raises:
            LookupError, TypeError: *wire* is not valid.
        """
        sandbox = {"in_force": list(wire["sandbox"]["in_force"]), "refused": dict(wire["sandbox"]["refused"])}
        names = {key: tuple(wire[key]) for key in ("classes", "colors", "kernels")}
        return cls(**{**wire, **names, "sandbox": sandbox, "fingerprint": str(wire["fingerprint"])})
