"""The network that tells a person's left limbs from the right ones, on an image of that person.

To the network that parses frames, left and right look alike. It sees people at any size and place, and decides each
pixel; here the person fills the image, and a transformer relates the limbs to the rest of the body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torch import nn

from edge_worker.m2fp.limb_sides import CHANNELS
from edge_worker.m2fp.network.efficientnet import EfficientNetLite
from edge_worker.m2fp.network.fpn import FpnPixelDecoder
from edge_worker.m2fp.network_configuration import EfficientNetLiteConfig, FpnConfig

if TYPE_CHECKING:
    from torch import Tensor

_FEATURES: Final = ("res2", "res3", "res4")
_BACKBONE: Final = EfficientNetLiteConfig(out_features=_FEATURES)
_DECODER: Final = FpnConfig(
    in_features=_FEATURES,
    transformer_nheads=4,
    transformer_dim_feedforward=256,
    transformer_enc_layers=2,
    conv_dim=64,
    mask_dim=1,
)


class LimbSideNetwork(nn.Module):
    """EfficientNet-Lite0 up to stride 16, and a small pixel decoder."""

    def __init__(self) -> None:
        """Create the network with random weights."""
        super().__init__()
        self.backbone = EfficientNetLite(_BACKBONE, CHANNELS)
        self.decoder = FpnPixelDecoder(_DECODER, self.backbone)

    def forward(self, crops: Tensor) -> Tensor:
        """Return logits of being on the person's left side.

        Args:
            crops: (B, 4, H, W), H and W multiples of 16: normalised RGB, and 1 where the person is.

        Returns:
            (B, H/4, W/4), of meaning only on arms, legs and shoes.
        """
        return self.decoder(self.backbone(crops)).mask_features[:, 0]
