"""PyTorch: runs checkpoints as they are."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import torch

from edge_worker.m2fp.checkpoint import load_network
from edge_worker.m2fp.engines.base import AnyShape
from edge_worker.m2fp.types import Logits

if TYPE_CHECKING:
    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.engines.base import EngineOptions
    from edge_worker.m2fp.types import FloatArray

_AUTOCAST = {"f32": torch.float32, "bf16": torch.bfloat16}


class TorchEngine(AnyShape):
    """The network of ``edge_worker.m2fp.network`` itself; nothing to compile, any shape."""

    def __init__(self, model: ModelDirectory, options: EngineOptions) -> None:
        """Load the checkpoint *model*; the number of threads is PyTorch's, for the whole process."""
        if options.threads is not None:
            torch.set_num_threads(options.threads)
            with suppress(RuntimeError):  # it can be set once, and only before PyTorch's first parallel work
                torch.set_num_interop_threads(1)
        self._network, _ = load_network(model.path)
        self._dtype = _AUTOCAST[options.precision]

    def threads(self) -> int | None:
        """What PyTorch says."""
        return torch.get_num_threads()

    def infer(self, tensor: FloatArray) -> Logits:
        """Run a normalised RGB input, float32 1×3×H×W, H and W multiples of 32."""
        reduced = self._dtype != torch.float32
        with torch.inference_mode(), torch.autocast("cpu", dtype=self._dtype, enabled=reduced):
            prediction = self._network(torch.from_numpy(tensor))
        return Logits(*(output[0].float().numpy() for output in prediction))


def precisions() -> tuple[str, ...]:
    """The precisions that are worth running on this processor."""
    return ("f32", "bf16") if torch.cpu._is_avx512_bf16_supported() else ("f32",)  # noqa: SLF001  no public name yet


create = TorchEngine
