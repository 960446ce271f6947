"""EfficientNet-Lite0 as a backbone."""

from __future__ import annotations

from typing import Final

import pytest
import torch
from torch.nn import functional

from edge_worker.m2fp.network.efficientnet import EfficientNetLite, SameConv
from edge_worker.m2fp.network_configuration import EfficientNetLiteConfig

LEVELS: Final = ("res2", "res3", "res4", "res5")


def test_maps_have_the_channels_and_strides_of_the_paper() -> None:
    """24, 40, 112 and 320 channels at a quarter to a thirty-second of the input, which need not be square."""
    backbone = EfficientNetLite(EfficientNetLiteConfig(out_features=LEVELS)).eval()
    with torch.inference_mode():
        maps = backbone(torch.rand(1, 3, 64, 96))
    assert {name: tuple(one.shape[1:]) for name, one in maps.items()} == {
        "res2": (24, 16, 24),
        "res3": (40, 8, 12),
        "res4": (112, 4, 6),
        "res5": (320, 2, 3),
    }
    assert backbone.strides == {"res2": 4, "res3": 8, "res4": 16, "res5": 32}


def test_only_the_maps_asked_for_are_given() -> None:
    """What the pixel decoder does not read is not kept."""
    backbone = EfficientNetLite(EfficientNetLiteConfig(out_features=("res3",))).eval()
    with torch.inference_mode():
        assert list(backbone(torch.rand(1, 3, 32, 32))) == ["res3"]


def test_it_has_as_many_parameters_as_published() -> None:
    """3.4 M without the head and the classifier (4.65 M with them)."""
    backbone = EfficientNetLite(EfficientNetLiteConfig(out_features=LEVELS))
    assert sum(parameter.numel() for parameter in backbone.parameters()) == 4_652_008 - 1280 * (320 + 2 + 1000) - 1000


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 1, (1, 1)), (5, 1, (2, 2)), (3, 2, (0, 1)), (5, 2, (1, 2))]
)
def test_padding_is_that_of_tensorflow(kernel: int, stride: int, padding: tuple[int, int]) -> None:
    """At stride 2 and an even size, one pixel more is padded after than before."""
    convolution = SameConv(2, 2, kernel, stride=stride, groups=2)
    convolution.norm = torch.nn.Identity()
    image = torch.rand(1, 2, 8, 12)
    padded = functional.pad(image, (*padding, *padding))
    wanted = functional.conv2d(padded, convolution.weight, stride=stride, groups=2)
    torch.testing.assert_close(convolution(image), wanted)
