"""The complete network: normalised images → class and mask logits of the queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from torch import Tensor, nn

from edge_worker.m2fp import network_configuration as sections
from edge_worker.m2fp.network.backbone import Backbone, ResNet
from edge_worker.m2fp.network.efficientnet import EfficientNetLite
from edge_worker.m2fp.network.fpn import FpnPixelDecoder
from edge_worker.m2fp.network.person_split import split_persons
from edge_worker.m2fp.network.pixel_decoder import MSDeformAttnPixelDecoder, PixelDecoder, PixelFeatures
from edge_worker.m2fp.network.shufflenet import ShuffleNet
from edge_worker.m2fp.network.transformer_decoder import Prediction, TransformerDecoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_worker.m2fp.configuration import ModelConfig

# Networks by section of the configuration; a new variant is one entry here and one module.
BACKBONES: dict[type, Callable[[Any], Backbone]] = {
    sections.ResNetConfig: ResNet,
    sections.ShuffleNetConfig: ShuffleNet,
    sections.EfficientNetLiteConfig: EfficientNetLite,
}
PIXEL_DECODERS: dict[type, Callable[[Any, Backbone], PixelDecoder]] = {
    sections.MSDeformAttnConfig: MSDeformAttnPixelDecoder,
    sections.FpnConfig: FpnPixelDecoder,
}


class SemSegHead(nn.Module):
    """Pixel decoder and transformer decoder; a separate module to match the published tensor names."""

    def __init__(self, config: ModelConfig, backbone: Backbone) -> None:
        """Create both decoders with the sizes of *config*, on top of *backbone*."""
        super().__init__()
        pixel_decoder = PIXEL_DECODERS[type(config.encoder)](config.encoder, backbone)
        self.pixel_decoder = pixel_decoder
        self.predictor = TransformerDecoder(config.decoder, pixel_decoder.map_channels, pixel_decoder.num_maps)


class M2FP(nn.Module):
    """Mask2Former for Parsing (arXiv 2301.00394), sized by its configuration."""

    def __init__(self, config: ModelConfig) -> None:
        """Create the network with random weights; see :func:`edge_worker.m2fp.checkpoint.load_network`."""
        super().__init__()
        self.backbone = BACKBONES[type(config.backbone)](config.backbone)
        self.sem_seg_head = SemSegHead(config, self.backbone)
        self._split_queries = config.decoder.split_queries

    def features(self, images: Tensor) -> PixelFeatures:
        """Normalised RGB (B, 3, H, W), H and W multiples of 32 → input of the transformer decoder."""
        return self.sem_seg_head.pixel_decoder(self.backbone(images))

    def forward(self, images: Tensor) -> Prediction:
        """Normalised RGB (B, 3, H, W) → logits (B, Q, classes + 1) and (B, Q, H/4, W/4).

        Q is ``decoder.num_queries`` and ``decoder.split_queries`` together.
        """
        features = self.features(images)
        prediction = cast("Prediction", self.sem_seg_head.predictor(features))
        if not self._split_queries:
            return prediction
        assert features.cues is not None  # noqa: S101 - the configuration was validated
        return split_persons(prediction, features.cues.centres, self._split_queries)
