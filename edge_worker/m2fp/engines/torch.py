"""PyTorch: runs checkpoints without export."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from edge_worker.m2fp.checkpoint import load_network
from edge_worker.m2fp.engines.base import AnyShape
from edge_worker.m2fp.types import Logits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.engines.base import EngineOptions
    from edge_worker.m2fp.types import FloatArray

_AUTOCAST = {"f32": torch.float32, "bf16": torch.bfloat16}


class TorchEngine(AnyShape):
    """Runs ``edge_worker.m2fp.network`` directly, for any input shape."""

    def __init__(self, model: ModelDirectory, options: EngineOptions) -> None:
        """Load the checkpoint *model*."""
        self._threads = options.threads
        self._network, _ = load_network(model.path)
        self._dtype = _AUTOCAST[options.precision]

    def threads(self) -> int | None:
        """Return PyTorch's number of threads."""
        with limited_threads(self._threads):
            return torch.get_num_threads()

    def infer(self, tensor: FloatArray) -> Logits:
        """Run the network on normalised RGB, float32 1×3×H×W, H and W multiples of 32."""
        reduced = self._dtype != torch.float32
        autocast = torch.autocast("cpu", dtype=self._dtype, enabled=reduced)
        with limited_threads(self._threads), torch.inference_mode(), autocast:
            prediction = self._network(torch.from_numpy(tensor))
        return Logits(*(output[0].float().numpy() for output in prediction))


@contextmanager
def limited_threads(count: int | None) -> Iterator[None]:
    """Limit PyTorch to *count* threads inside the context (None: no limit).

    The limit is process-wide, so it is restored on exit: the host program may use PyTorch too.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def precisions() -> tuple[str, ...]:
    """Return the precisions worth running on this CPU."""
    return ("f32", "bf16") if torch.cpu._is_avx512_bf16_supported() else ("f32",)  # noqa: SLF001  no public name yet


create = TorchEngine
