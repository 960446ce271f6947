"""The pixel decoder of light models."""

from __future__ import annotations

import msgspec
import pytest
import torch
from checkpoints import GOLDEN

from edge_worker.common.errors import CheckpointError
from edge_worker.m2fp.configuration import ModelConfig, load_configuration, parse_configuration
from edge_worker.m2fp.network.fpn import PersonCues
from edge_worker.m2fp.network.m2fp import M2FP
from edge_worker.m2fp.network_configuration import PersonCuesConfig

LEVELS = ("res2", "res3", "res4", "res5")
CUES = {"waves": 3, "limb_pairs": 2}


def light(**encoder: object) -> ModelConfig:
    """A small model of the light kind; *encoder* changes its pixel decoder."""
    config = load_configuration(GOLDEN / "tiny-multi")
    data = msgspec.to_builtins(config)
    data["backbone"] = {"type": "shufflenetv2", "channels": (32, 64, 128), "units": (2, 2, 2), "out_features": LEVELS}
    data["encoder"] = {
        "type": "fpn",
        "in_features": LEVELS,
        "transformer_nheads": 4,
        "transformer_dim_feedforward": 32,
        "transformer_enc_layers": 1,
        "conv_dim": data["decoder"]["hidden_dim"],
        "mask_dim": data["decoder"]["mask_dim"],
        **encoder,
    }
    return parse_configuration({"model": data}, "test")


def network(**encoder: object) -> M2FP:
    """The same random weights at every call, as far as both have them."""
    torch.manual_seed(0)
    return M2FP(light(**encoder)).eval()


@pytest.mark.parametrize("size", [(64, 96), (96, 64)])
def test_mask_features_at_a_quarter(size: tuple[int, int]) -> None:
    """Masks come at a quarter of the input's height and width."""
    with torch.inference_mode():
        prediction = network()(torch.rand(1, 3, *size))
    assert prediction.mask_logits.shape[-2:] == (size[0] // 4, size[1] // 4)


@pytest.mark.parametrize(
    ("key", "value", "layer"), [("blocks_per_level", 2, ".blocks."), ("person_cues", CUES, ".person_cues.")]
)
def test_untrained_additions_change_nothing(key: str, value: object, layer: str) -> None:
    """A trained model can be given residual blocks and cues: until they are trained, its answer stays the same."""
    plain, deeper = network(), network(**{key: value})
    missing = deeper.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing
    assert all(layer in name for name in missing)
    images = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(plain(images).mask_logits, deeper(images).mask_logits)


def test_cues_need_two_maps() -> None:
    """They are read from the map before the last: a configuration without one is refused with the key."""
    with pytest.raises(CheckpointError, match=r"encoder: .*in_features must name two or more"):
        light(in_features=("res2",), person_cues=CUES)


def test_cues_tell_people_and_arms_apart() -> None:
    """With equal features, masks and queries may depend on the centre of a pixel's person and on a side's cues."""
    cues = PersonCues(PersonCuesConfig(**CUES), map_channels=4, mask_dim=4)
    torch.nn.init.normal_(cues.to_mask_features.weight)
    torch.nn.init.normal_(cues.to_map.weight)
    torch.nn.init.zeros_(cues.cues.weight)
    bias = cues.cues.bias
    assert bias is not None
    torch.nn.init.zeros_(bias)
    x, features = torch.zeros(1, 4, 5, 7), torch.zeros(1, 4, 10, 14)
    centres = cues.predict(x).centres
    assert centres[0, :, 2, 3].tolist() == pytest.approx([0.5, 0.5])
    assert centres[0, :, 4, 0].tolist() == pytest.approx([0.5 / 7, 0.9])
    with torch.inference_mode():
        for changed in cues(features, x, cues.predict(x)):
            pixels = changed[0].flatten(1)
            assert torch.unique(pixels.round(decimals=4), dim=1).shape[1] == pixels.shape[1]
        bias[2:4] = 9.0  # seen from behind, and left of its pair: a left arm, like the one right of a front
        left = cues(features, x, cues.predict(x))
        bias[2:4] = -9.0
        torch.testing.assert_close(cues(features, x, cues.predict(x)), left)
        bias[3] = 9.0
        for expected, changed in zip(left, cues(features, x, cues.predict(x)), strict=True):
            assert (expected - changed).abs().max() > 0.1
