"""Registry of network classes by configuration section; a new variant is one entry here and one module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_worker.m2fp.network.backbone import Backbone, ResNet
from edge_worker.m2fp.network.efficientnet import EfficientNetLite
from edge_worker.m2fp.network.fpn import FpnPixelDecoder
from edge_worker.m2fp.network.pixel_decoder import MSDeformAttnPixelDecoder, PixelDecoder
from edge_worker.m2fp.network.shufflenet import ShuffleNet
from edge_worker.m2fp.network_configuration import (
    BackboneConfig,
    EfficientNetLiteConfig,
    FpnConfig,
    MSDeformAttnConfig,
    PixelDecoderConfig,
    ResNetConfig,
    ShuffleNetConfig,
)

if TYPE_CHECKING:
    from collections.abc import Callable

BACKBONES: dict[type, Callable[[Any], Backbone]] = {
    ResNetConfig: ResNet,
    ShuffleNetConfig: ShuffleNet,
    EfficientNetLiteConfig: EfficientNetLite,
}

PIXEL_DECODERS: dict[type, Callable[[Any, Backbone], PixelDecoder]] = {
    MSDeformAttnConfig: MSDeformAttnPixelDecoder,
    FpnConfig: FpnPixelDecoder,
}


def build_backbone(config: BackboneConfig) -> Backbone:
    """Build the backbone described by *config*."""
    return BACKBONES[type(config)](config)


def build_pixel_decoder(config: PixelDecoderConfig, backbone: Backbone) -> PixelDecoder:
    """Build the pixel decoder described by *config*, on top of *backbone*."""
    return PIXEL_DECODERS[type(config)](config, backbone)
