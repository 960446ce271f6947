"""What is asked of the model process and what it returns: plain values, so that the worker imports no numeric library.

Both travel as JSON plus blobs (:mod:`edge_worker.inference.ipc`), never as pickles.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from edge_worker.inference.outputs import ImageRequest
from edge_worker.ops.threads import ThreadPlan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_worker.config import Config

_OBJECTS_PER_JSON = 3  # bytes of Python objects per byte of JSON in a labels body without run lengths, measured


@dataclass(frozen=True, slots=True)
class OutputRequest:
    """What is wanted of one frame; hashable: a part of the key of a cached result.

    Attributes:
        images: by kind, each kind at most once.
        labels: whether the body of the labels message is wanted.
        masks, instances: as ``output.labels`` in the configuration.
        score_threshold: persons and parts that score less are left out; None: the model's own.
    """

    images: tuple[ImageRequest, ...] = (ImageRequest("colormap", "palette-png"),)
    labels: bool = True
    masks: Literal["none", "rle"] = "none"
    instances: Literal["none", "raw"] = "none"
    score_threshold: float | None = None

    def image(self, kind: str) -> ImageRequest | None:
        """What is wanted of the images of this *kind*; None: nothing."""
        return next((image for image in self.images if image.kind == kind), None)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> OutputRequest:
        """The request that ``dataclasses.asdict`` made plain."""
        return cls(**{**wire, "images": tuple(ImageRequest(**image) for image in wire["images"])})


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """One image of a result: its kind, the file, and the person it shows where it shows one."""

    kind: str
    data: bytes
    person: int | None = None


@dataclass(frozen=True, slots=True)
class EncodedResult:
    """One frame's results, encoded.

    Attributes:
        width, height: of the frame in displayed orientation, pixels.
        images: the encoded images that were asked for, those left out for their size excepted.
        body: ``image, labels, persons, unassigned`` and, if asked for, ``instances``: plain JSON values, the part of
            the labels message that depends on the frame alone. Empty where no labels were asked for.
        timings_ms: of ``decode, preprocess, inference, postprocess, render, encode``.
    """

    width: int
    height: int
    images: tuple[EncodedImage, ...]
    body: dict[str, Any]
    timings_ms: dict[str, float]

    def image(self, kind: str) -> bytes | None:
        """The first image of this *kind*; None where there is none."""
        return next((image.data for image in self.images if image.kind == kind), None)

    @property
    def size(self) -> int:
        """About how many bytes of memory this takes: what a cache must count."""
        encoded = sum(len(image.data) for image in self.images)
        return encoded + _OBJECTS_PER_JSON * len(json.dumps(self.body))

    def to_wire(self) -> tuple[dict[str, Any], tuple[bytes, ...]]:
        """The result as a message: a header of plain JSON values, and the images."""
        header = {name: getattr(self, name) for name in ("width", "height", "body", "timings_ms")}
        images = [[image.kind, image.person] for image in self.images]
        return {**header, "images": images}, tuple(image.data for image in self.images)

    @classmethod
    def from_wire(cls, header: Mapping[str, Any], blobs: tuple[bytes, ...]) -> EncodedResult:
        """The result that :meth:`to_wire` wrote.

        Raises:
            LookupError, TypeError, ValueError: it was not that.
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
    """Which model, and how it is run; as in section ``model`` of the configuration."""

    path: str
    engine: str = "auto"
    precision: str = "auto"
    short_side: int | None = None
    shapes: int = 4


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """What a frame may be: bytes of a payload, pixels of an image, and the formats that are taken."""

    max_payload_bytes: int
    max_pixels: int
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What a model process is told when it starts: which model, how it is run, and what a frame may be.

    Attributes:
        model: what is loaded.
        palette: class name → ``#rrggbb``, for the classes whose colour differs from the model's.
        limits: what is decoded.
        threads: of this process.
        requested_threads: the section ``threads`` of the configuration, for the model card.
        cache_directory: where compiled networks are kept; None: nowhere.
    """

    model: ModelChoice
    palette: dict[str, str]
    limits: FrameLimits
    threads: ThreadPlan
    requested_threads: dict[str, Any]
    cache_directory: str | None

    @classmethod
    def from_config(cls, config: Config, plan: ThreadPlan, cache_directory: Path | None) -> ModelSettings:
        """What the configuration says, with the threads of *plan*."""
        model, limits = config.model, config.limits
        return cls(
            model=ModelChoice(model.path, model.engine, model.precision, model.short_side, model.shapes),
            palette=dict(config.palette),
            limits=FrameLimits(limits.max_payload_bytes, limits.max_pixels, limits.formats),
            threads=plan,
            requested_threads=config.threads.model_dump(mode="json"),
            cache_directory=None if cache_directory is None else str(cache_directory),
        )

    def to_wire(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> ModelSettings:
        """The settings that :meth:`to_wire` wrote."""
        limits = {**wire["limits"], "formats": tuple(wire["limits"]["formats"])}
        typed = {
            "model": ModelChoice(**wire["model"]),
            "limits": FrameLimits(**limits),
            "threads": ThreadPlan.from_wire(wire["threads"]),
        }
        return cls(**{**wire, **typed})


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
        kernels: names of the compiled kernels that are loaded.
        sandbox: what :meth:`edge_worker.ops.sandbox.Sandbox.enter` said; added by the model process.
        fingerprint: digest of everything that its results depend on besides payload and request; not published.
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
        """The facts that ``dataclasses.asdict`` made plain.

        Raises:
            LookupError, TypeError: it was not that.
        """
        sandbox = {"in_force": list(wire["sandbox"]["in_force"]), "refused": dict(wire["sandbox"]["refused"])}
        names = {key: tuple(wire[key]) for key in ("classes", "colors", "kernels")}
        return cls(**{**wire, **names, "sandbox": sandbox, "fingerprint": str(wire["fingerprint"])})
