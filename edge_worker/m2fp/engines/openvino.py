"""OpenVINO: runs exported models, in reduced precision if the CPU supports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino

from edge_worker.common.errors import EngineError
from edge_worker.common.platforms import available_cpus
from edge_worker.m2fp.directory import verify
from edge_worker.m2fp.engines import compiler
from edge_worker.m2fp.engines.base import ShapeCache, shape_of
from edge_worker.m2fp.engines.blobs import BlobStore, MappedBlob
from edge_worker.m2fp.engines.gemm_fusion import Replacement, product_operation
from edge_worker.m2fp.engines.graph import fold_constants
from edge_worker.m2fp.engines.precisions import SPLIT, network_precision, offered
from edge_worker.m2fp.engines.sampling_fusion import fuse, sampling_operation
from edge_worker.m2fp.kernels import deformable, gemm, winograd
from edge_worker.m2fp.kernels.deformable import is_built
from edge_worker.m2fp.kernels.loader import isa_limit
from edge_worker.m2fp.kernels.workers import Workers
from edge_worker.m2fp.types import Logits

if TYPE_CHECKING:
    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.engines.base import EngineOptions, Shape
    from edge_worker.m2fp.engines.gemm_fusion import Kernel
    from edge_worker.m2fp.types import FloatArray

_DEVICE = "CPU"
_MAX_PROBLEM = 300  # characters of OpenVINO's explanations, which quote its source code

# Code generated for groups of element-wise operations takes 18 MB with m2fp-lite, and in f32 saves no time (in bf16 and
# int8 it does). A private setting of OpenVINO.
_F32_SETTINGS = {"SNIPPETS_MODE": "DISABLE"}

_cores: list[openvino.Core] = []


@dataclass(frozen=True)
class _Compiled:
    """A compiled network and the mapped memory of its constants, if not owned by OpenVINO."""

    request: openvino.InferRequest
    memory: MappedBlob | None


class OpenVinoEngine:
    """One compiled network per input shape, cached on disk."""

    def __init__(self, model: ModelDirectory, options: EngineOptions, second: str | None = None) -> None:
        """Use the exported *model*, or its *second* network, a file; a shape is compiled or loaded on first use."""
        self._model, self._options, self._second = model, options, second
        self._file = model.path / second if second else model.network_file(options.precision)
        self._core = _new_core()
        self._settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": network_precision(options.precision),
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            # Pinning would put all model processes on the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        self._private_settings = _F32_SETTINGS if options.precision == "f32" else {}
        self._settings |= self._private_settings
        if options.threads is not None:
            self._settings["INFERENCE_NUM_THREADS"] = options.threads
        workers = Workers(options.threads or len(available_cpus()))
        self._sampling = sampling_operation(workers) if is_built() else None
        self._kernel = _kernel_for(options.precision)
        self._product = product_operation(self._kernel, workers) if self._kernel else None
        for operation in filter(None, (self._sampling, self._product)):
            self._core.add_extension(operation)
        shapes = options.shapes + model.decides_sides  # both networks of a model share the limit
        self._blobs = BlobStore(options.cache_directory, "openvino", self._key(), 2 * shapes)
        self._networks: ShapeCache[_Compiled] = ShapeCache(self._network, options.shapes)

    def is_compiled(self, shape: Shape) -> bool:
        """Return whether a request for the shape exists."""
        return shape in self._networks

    def compile(self, shape: Shape) -> None:
        """Compile for the shape, or load it from the cache."""
        self._networks.get(shape)

    def compile_to_disk(self, shape: Shape) -> None:
        """Compile for the shape and write the result to the cache directory, for other processes to load."""
        self._blobs.store(shape, self._compile(shape).export_model)

    def threads(self) -> int | None:
        """Return the number of threads reported by OpenVINO."""
        network = self._networks.newest()
        return int(network.request.get_compiled_model().get_property("INFERENCE_NUM_THREADS")) if network else None

    def infer(self, tensor: FloatArray) -> Logits:
        """Run the network on normalised RGB, float32 1×3×H×W, H and W multiples of 32."""
        class_logits, mask_logits = self.run(tensor)
        return Logits(class_logits[0], mask_logits[0])

    def run(self, tensor: FloatArray) -> list[FloatArray]:
        """Return the outputs of the network for one input, float32 1×C×H×W."""
        request = self._networks.get(shape_of(tensor)).request
        return [np.array(one) for one in request.infer({0: tensor}, share_inputs=True, share_outputs=True).values()]

    def close(self) -> None:
        """Drop the compiled networks."""
        self._networks.clear()

    def _key(self) -> tuple[str, ...]:
        """Return everything compiled networks depend on besides the shape."""
        processor = self._core.get_property(_DEVICE, "FULL_DEVICE_NAME"), *_capabilities(self._core)
        manifest = self._model.exported()
        first = self._model.sha256, *self._model.quantised_sha256
        networks = (manifest.files[self._second],) if self._second else first
        key = (*networks, openvino.get_version(), self._options.precision, *processor)
        kernels = (deformable.KERNEL if self._sampling else None, self._kernel and self._kernel.KERNEL)
        return (*key, *filter(None, (*kernels, isa_limit()[1], *self._private_settings.values())))

    def _network(self, shape: Shape) -> _Compiled:
        """Load the network for a shape, or compile it, in a subprocess if that saves memory."""
        if (loaded := self._load(shape)) is not None:
            return loaded
        # The file may have changed since it was opened, and the compiled network is kept.
        verify(self._model.path, self._model.exported())
        if self._blobs.keeps and (self._second or compiler.is_worth_it(self._file)):
            compiler.compile_apart(self._model.path, self._options, shape, self._second)
            if (loaded := self._load(shape)) is not None:
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
        except RuntimeError as error:  # written by another build
            self._blobs.discard(shape, f"OpenVINO does not load it: {error}"[:_MAX_PROBLEM])
            return None
        blob.forget()  # most weights were repacked for the CPU and are not read again
        return _Compiled(request, blob)

    def _compile(self, shape: Shape) -> openvino.CompiledModel:
        try:
            network = self._core.read_model(self._file)
            network.reshape([1, *network.input(0).partial_shape[1:2], *shape])
            if self._sampling:
                fuse(network, self._sampling)
            if self._kernel and self._product:
                fold_constants(network)
                Replacement(self._kernel, self._product).replace(network)
            return self._core.compile_model(network, _DEVICE, self._settings)
        except RuntimeError as error:
            raise EngineError(f"{self._file}: OpenVINO cannot compile it for {shape}: {error}") from error


def precisions() -> tuple[str, ...]:
    """Return the precisions worth running on this CPU."""
    return offered((*_capabilities(_new_core()), *((SPLIT,) if gemm.is_usable() else ())))


def _kernel_for(precision: str) -> Kernel | None:
    """Return our convolution kernel for this *precision*; None if unavailable or if OpenVINO's own are faster."""
    if precision == SPLIT:
        return gemm
    return winograd if precision == "f32" and winograd.is_usable() else None


def _new_core() -> openvino.Core:
    """Create a core that lives until the process exits.

    On AMX a core replaces the main thread's signal stack and restores the previous one on destruction. Destroying cores
    out of order restores a freed stack, and the next signal crashes the process.
    """
    _cores.append(openvino.Core())
    return _cores[-1]


def _capabilities(core: openvino.Core) -> tuple[str, ...]:
    return tuple(core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES"))


create = OpenVinoEngine
