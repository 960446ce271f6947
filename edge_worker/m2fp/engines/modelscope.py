"""The network of the published pipeline, the reference for the other engines.

Needs the environment of ``make reference``: Python 3.10 with compatible versions of modelscope, mmcv-full and torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from modelscope.pipelines import pipeline
from modelscope.utils.constant import Tasks

from edge_worker.common.errors import EngineError
from edge_worker.m2fp.engines.base import AnyShape
from edge_worker.m2fp.types import Logits

if TYPE_CHECKING:
    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.engines.base import EngineOptions
    from edge_worker.m2fp.types import FloatArray


class ModelScopeEngine(AnyShape):
    """Backbone and head of the ModelScope model, without its pre- and postprocessing."""

    def __init__(self, model: ModelDirectory, options: EngineOptions) -> None:
        """Load the checkpoint *model* with ModelScope."""
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        try:
            self._network: Any = pipeline(Tasks.image_segmentation, model=str(model.path), device="cpu").model.eval()
        except Exception as error:
            raise EngineError(f"{model.path}: ModelScope cannot load it: {error}") from error

    def threads(self) -> int | None:
        """Return PyTorch's number of threads."""
        return torch.get_num_threads()

    def infer(self, tensor: FloatArray) -> Logits:
        """Run the network on normalised RGB, float32 1×3×H×W, H and W multiples of 32."""
        with torch.no_grad():
            outputs = self._network.sem_seg_head(self._network.backbone(torch.from_numpy(tensor)))
        return Logits(outputs["pred_logits"][0].numpy(), outputs["pred_masks"][0].numpy())


def precisions() -> tuple[str, ...]:
    """Return the precisions worth running on this CPU."""
    return ("f32",)


create = ModelScopeEngine
