"""ONNX Runtime: runs exported models in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnxruntime

from edge_worker.common.errors import EngineError
from edge_worker.m2fp.directory import verify
from edge_worker.m2fp.engines.base import ShapeCache, shape_of
from edge_worker.m2fp.manifest import ONNX_FILE
from edge_worker.m2fp.types import Logits

if TYPE_CHECKING:
    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.engines.base import EngineOptions, Shape
    from edge_worker.m2fp.types import FloatArray

# Errors only: graph optimisation warnings do not help operators.
_LOG_ERRORS = 3


class OnnxRuntimeEngine:
    """One session per input shape, so that everything that depends only on the shape is constant-folded."""

    def __init__(self, model: ModelDirectory, options: EngineOptions, second: str | None = None) -> None:
        """Use the exported *model*, or its *second* network, a file; sessions are created on first use of a shape."""
        self._model, self._file = model, str(model.path / (second or ONNX_FILE))
        self._threads = options.threads
        self._sessions: ShapeCache[onnxruntime.InferenceSession] = ShapeCache(self._session, options.shapes)

    def is_compiled(self, shape: Shape) -> bool:
        """Return whether a session for the shape exists."""
        return shape in self._sessions

    def compile(self, shape: Shape) -> None:
        """Create a session for the shape."""
        self._sessions.get(shape)

    def threads(self) -> int | None:
        """Return the requested number: ONNX Runtime does not report the actual one."""
        return self._threads

    def infer(self, tensor: FloatArray) -> Logits:
        """Run the network on normalised RGB, float32 1×3×H×W, H and W multiples of 32."""
        class_logits, mask_logits = self.run(tensor)
        return Logits(class_logits[0], mask_logits[0])

    def run(self, tensor: FloatArray) -> list[FloatArray]:
        """Return the outputs of the network for one input, float32 1×C×H×W."""
        session = self._sessions.get(shape_of(tensor))
        return list(session.run(None, {session.get_inputs()[0].name: tensor}))

    def close(self) -> None:
        """Drop the sessions."""
        self._sessions.clear()

    def _session(self, shape: Shape) -> onnxruntime.InferenceSession:
        verify(self._model.path, self._model.exported())  # it may have been altered since it was opened
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _LOG_ERRORS
        options.intra_op_num_threads = self._threads or 0
        options.add_free_dimension_override_by_name("height", shape[0])
        options.add_free_dimension_override_by_name("width", shape[1])
        try:
            return onnxruntime.InferenceSession(self._file, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise EngineError(f"{self._file}: ONNX Runtime cannot run it: {error}") from error


def precisions() -> tuple[str, ...]:
    """Return the precisions worth running on this CPU."""
    return ("f32",)


create = OnnxRuntimeEngine
