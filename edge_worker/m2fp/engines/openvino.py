"""OpenVINO: runs exported models, in reduced precision where the processor has it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino

from edge_worker.errors import EngineError
from edge_worker.m2fp.engines import compiler
from edge_worker.m2fp.engines.base import ShapeCache, shape_of
from edge_worker.m2fp.engines.blobs import BlobStore, MappedBlob
from edge_worker.m2fp.engines.gemm_fusion import Replacement, product_operation
from edge_worker.m2fp.engines.graph import fold_constants
from edge_worker.m2fp.engines.precisions import SPLIT, network_precision, offered
from edge_worker.m2fp.engines.sampling_fusion import fuse, sampling_operation
from edge_worker.m2fp.kernels import deformable, gemm, winograd
from edge_worker.m2fp.kernels.deformable import is_built
from edge_worker.m2fp.kernels.workers import Workers
from edge_worker.m2fp.types import Logits

if TYPE_CHECKING:
    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.engines.base import EngineOptions, Shape
    from edge_worker.m2fp.engines.gemm_fusion import Kernel
    from edge_worker.m2fp.types import FloatArray

_DEVICE = "CPU"

_cores: list[openvino.Core] = []


@dataclass(frozen=True)
class _Compiled:
    """A network that is ready to run, and the memory that its constants lie in where that is not OpenVINO's own."""

    request: openvino.InferRequest
    memory: MappedBlob | None


class OpenVinoEngine:
    """A compiled network for each shape; compiled networks are kept on disk."""

    def __init__(self, model: ModelDirectory, options: EngineOptions) -> None:
        """Take the exported *model*; a shape is compiled, or loaded, when it first comes."""
        self._model, self._options = model, options
        self._file = model.network_file(options.precision)
        self._core = _new_core()
        self._settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": network_precision(options.precision),
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            # Several model processes would all be pinned to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        if options.threads is not None:
            self._settings["INFERENCE_NUM_THREADS"] = options.threads
        workers = Workers(options.threads or len(os.sched_getaffinity(0)))
        self._sampling = sampling_operation(workers) if is_built() else None
        self._kernel = _kernel_for(options.precision)
        self._product = product_operation(self._kernel, workers) if self._kernel else None
        for operation in filter(None, (self._sampling, self._product)):
            self._core.add_extension(operation)
        self._blobs = BlobStore(options.cache_directory, "openvino", self._key(), 2 * options.shapes)
        self._networks: ShapeCache[_Compiled] = ShapeCache(self._network, options.shapes)

    def is_compiled(self, shape: Shape) -> bool:
        """Whether a request for the shape is at hand."""
        return shape in self._networks

    def compile(self, shape: Shape) -> None:
        """Compile for the shape, or load what was compiled before."""
        self._networks.get(shape)

    def compile_to_disk(self, shape: Shape) -> None:
        """Compile for the shape and leave the result in the cache directory, for others to load."""
        self._blobs.store(shape, self._compile(shape).export_model)

    def threads(self) -> int | None:
        """What OpenVINO says."""
        network = self._networks.newest()
        return int(network.request.get_compiled_model().get_property("INFERENCE_NUM_THREADS")) if network else None

    def infer(self, tensor: FloatArray) -> Logits:
        """Run a normalised RGB input, float32 1×3×H×W, H and W multiples of 32."""
        request = self._networks.get(shape_of(tensor)).request
        class_logits, mask_logits = request.infer({0: tensor}, share_inputs=True).values()
        return Logits(np.array(class_logits[0]), np.array(mask_logits[0]))

    def close(self) -> None:
        """Drop the compiled networks."""
        self._networks.clear()

    def _key(self) -> tuple[str, ...]:
        """All that compiled networks depend on besides the shape."""
        processor = self._core.get_property(_DEVICE, "FULL_DEVICE_NAME"), *_capabilities(self._core)
        networks = (self._model.sha256, *self._model.quantised_sha256)
        key = (*networks, openvino.get_version(), self._options.precision, *processor)
        kernels = (deformable.KERNEL if self._sampling else None, self._kernel and self._kernel.KERNEL)
        return (*key, *filter(None, kernels))

    def _network(self, shape: Shape) -> _Compiled:
        """Load the network for a shape; if it was not there, compile it, by another process where that saves memory."""
        loaded = self._load(shape)
        if loaded is None and self._blobs.keeps and compiler.is_worth_it(self._file):
            compiler.compile_apart(self._model.path, self._options, shape)
            loaded = self._load(shape)
        if loaded is not None:
            return loaded
        compiled = self._compile(shape)
        self._blobs.store(shape, compiled.export_model)
        return _Compiled(compiled.create_infer_request(), None)

    def _load(self, shape: Shape) -> _Compiled | None:
        blob = self._blobs.map(shape)
        if blob is None:
            return None
        try:
            tensor = openvino.Tensor(blob.content, shared_memory=True)
            request = self._core.import_model(tensor, _DEVICE, self._settings).create_infer_request()
        except RuntimeError:  # written by a crash or by another build: as if it were not there
            return None
        blob.forget()  # most weights were copied into the processor's own order, and are not looked at again
        return _Compiled(request, blob)

    def _compile(self, shape: Shape) -> openvino.CompiledModel:
        try:
            network = self._core.read_model(self._file)
            network.reshape([1, 3, *shape])
            if self._sampling:
                fuse(network, self._sampling)
            if self._kernel and self._product:
                fold_constants(network)
                Replacement(self._kernel, self._product).replace(network)
            return self._core.compile_model(network, _DEVICE, self._settings)
        except RuntimeError as error:
            raise EngineError(f"{self._file}: OpenVINO cannot compile it for {shape}: {error}") from error


def precisions() -> tuple[str, ...]:
    """The precisions that are worth running on this processor."""
    return offered((*_capabilities(_new_core()), *((SPLIT,) if gemm.is_usable() else ())))


def _kernel_for(precision: str) -> Kernel | None:
    """The kernel of ours for convolutions in this *precision*; None: OpenVINO's own are better, or there is none."""
    if precision == SPLIT:
        return gemm
    return winograd if precision == "f32" and winograd.is_usable() else None


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
