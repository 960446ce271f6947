"""OpenVINO: runs exported models, in reduced precision where the processor has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino

from edge_worker.errors import EngineError
from edge_worker.m2fp.directory import ONNX_FILE
from edge_worker.m2fp.engines.base import ShapeCache, shape_of
from edge_worker.m2fp.engines.blobs import BlobStore
from edge_worker.m2fp.engines.deformable import KERNEL, is_built
from edge_worker.m2fp.engines.fusion import fuse, sampling_operation
from edge_worker.m2fp.types import Logits

if TYPE_CHECKING:
    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.engines.base import EngineOptions, Shape
    from edge_worker.m2fp.types import FloatArray

_DEVICE = "CPU"

# Ours → the capability of the processor, as OpenVINO names both it and the precision hint.
_CAPABILITIES = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}

_cores: list[openvino.Core] = []


class OpenVinoEngine:
    """A compiled network for each shape; compiled networks are kept on disk."""

    def __init__(self, model: ModelDirectory, options: EngineOptions) -> None:
        """Take the exported *model*; a shape is compiled, or loaded, when it first comes."""
        self._file = model.path / ONNX_FILE
        self._core = _new_core()
        self._settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": options.precision,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            # Several model processes would all be pinned to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        if options.threads is not None:
            self._settings["INFERENCE_NUM_THREADS"] = options.threads
        processor = self._core.get_property(_DEVICE, "FULL_DEVICE_NAME"), *_capabilities(self._core)
        key = (model.sha256, openvino.get_version(), options.precision, *processor)
        self._operation = None
        if is_built():
            self._operation = sampling_operation(options.threads)
            self._core.add_extension(self._operation)
            key = (*key, KERNEL)
        self._blobs = BlobStore(options.cache_directory, "openvino", key)
        self._requests: ShapeCache[openvino.InferRequest] = ShapeCache(self._request)

    def is_compiled(self, shape: Shape) -> bool:
        """Whether a request for the shape is at hand."""
        return shape in self._requests

    def compile(self, shape: Shape) -> None:
        """Compile for the shape, or load what was compiled before."""
        self._requests.get(shape)

    def threads(self) -> int | None:
        """What OpenVINO says."""
        request = self._requests.newest()
        return None if request is None else int(request.get_compiled_model().get_property("INFERENCE_NUM_THREADS"))

    def infer(self, tensor: FloatArray) -> Logits:
        """Run a normalised RGB input, float32 1×3×H×W, H and W multiples of 32."""
        class_logits, mask_logits = self._requests.get(shape_of(tensor)).infer({0: tensor}, share_inputs=True).values()
        return Logits(np.array(class_logits[0]), np.array(mask_logits[0]))

    def close(self) -> None:
        """Drop the compiled networks."""
        self._requests.clear()

    def _request(self, shape: Shape) -> openvino.InferRequest:
        compiled = self._load(shape)
        if compiled is None:
            compiled = self._compile(shape)
            self._blobs.store(shape, compiled.export_model)
        return compiled.create_infer_request()

    def _load(self, shape: Shape) -> openvino.CompiledModel | None:
        blob = self._blobs.map(shape)
        if blob is None:
            return None
        try:
            return self._core.import_model(openvino.Tensor(blob), _DEVICE, self._settings)
        except RuntimeError:  # written by a crash or by another build: as if it were not there
            return None

    def _compile(self, shape: Shape) -> openvino.CompiledModel:
        try:
            network = self._core.read_model(self._file)
            network.reshape([1, 3, *shape])
            if self._operation:
                fuse(network, self._operation)
            return self._core.compile_model(network, _DEVICE, self._settings)
        except RuntimeError as error:
            raise EngineError(f"{self._file}: OpenVINO cannot compile it for {shape}: {error}") from error


def precisions() -> tuple[str, ...]:
    """The precisions that are worth running on this processor."""
    capabilities = _capabilities(_new_core())
    return tuple(precision for precision, needed in _CAPABILITIES.items() if needed in capabilities)


def _new_core() -> openvino.Core:
    """Make a core that stays until the process ends.

    A core with AMX gives the main thread another signal stack, and puts the one before it back when it goes. Cores that
    go in another order than they came leave a stack that is gone, and then the next signal ends the process.
    """
    _cores.append(openvino.Core())
    return _cores[-1]


def _capabilities(core: openvino.Core) -> tuple[str, ...]:
    return tuple(core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES"))


create = OpenVinoEngine
