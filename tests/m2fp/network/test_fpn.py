"""The pixel decoder of light models."""

from __future__ import annotations

import pytest
import torch
from checkpoints import GOLDEN

from edge_worker.m2fp.configuration import ModelConfig, load_configuration
from edge_worker.m2fp.network.m2fp import M2FP

LEVELS = ("res2", "res3", "res4", "res5")


def light(**encoder: int) -> ModelConfig:
    """A small model of the light kind; *encoder* changes its pixel decoder."""
    config = load_configuration(GOLDEN / "tiny-multi")
    data = config.model_dump()
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
    return ModelConfig.model_validate(data)


def network(**encoder: int) -> M2FP:
    """The same random weights at every call, as far as both have them."""
    torch.manual_seed(0)
    return M2FP(light(**encoder)).eval()


@pytest.mark.parametrize("size", [(64, 96), (96, 64)])
def test_mask_features_at_a_quarter(size: tuple[int, int]) -> None:
    """Masks come at a quarter of the input's height and width."""
    with torch.inference_mode():
        prediction = network()(torch.rand(1, 3, *size))
    assert prediction.mask_logits.shape[-2:] == (size[0] // 4, size[1] // 4)


def test_untrained_blocks_change_nothing() -> None:
    """A trained model can be given residual blocks: until they are trained, its answer stays the same."""
    plain, deeper = network(), network(blocks_per_level=2)
    missing = deeper.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing
    assert all(".blocks." in name for name in missing)
    images = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(plain(images).mask_logits, deeper(images).mask_logits)
