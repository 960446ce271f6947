"""The network agrees with the published one, and with itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from checkpoints import GOLDEN, VARIANTS, Golden

from edge_worker.m2fp.checkpoint import load_network
from edge_worker.m2fp.configuration import parse_configuration
from edge_worker.m2fp.network.layers import sine_positions
from edge_worker.m2fp.network.m2fp import M2FP
from edge_worker.m2fp.network.transformer_decoder import Level, TransformerDecoder
from edge_worker.m2fp.preprocess import normalise, padded_size
from edge_worker.m2fp.seeded import tiny_configuration
from edge_worker.m2fp.types import Size

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLASS_TOLERANCE = 1e-3
MASK_TOLERANCE = 5e-3


@torch.inference_mode()
def test_golden_logits(golden: Golden) -> None:
    """From the published pipeline's own network input come its logits."""
    network, _ = load_network(golden.directory)
    image = golden.expected["net_input"].transpose(1, 2, 0).astype(np.uint8)
    tensor = normalise(image, padded_size(Size(image.shape[1], image.shape[0])))
    prediction = network(torch.from_numpy(tensor))
    np.testing.assert_allclose(prediction.class_logits[0], golden.expected["pred_logits"], atol=CLASS_TOLERANCE, rtol=0)
    np.testing.assert_allclose(prediction.mask_logits[0], golden.expected["pred_masks"], atol=MASK_TOLERANCE, rtol=0)


def full_configuration() -> dict[str, Any]:
    """The configuration of the published ResNet-101 model."""
    data: dict[str, Any] = json.loads((GOLDEN / "tiny-multi" / "configuration.json").read_text())
    model = data["model"]
    model["backbone"].update(depth=101, width_per_group=64, stem_out_channels=128, res2_out_channels=256)
    model["encoder"].update(conv_dim=256, mask_dim=256, transformer_dim_feedforward=1024, transformer_enc_layers=6)
    model["decoder"].update(hidden_dim=256, mask_dim=256, dim_feedforward=2048, dec_layers=9, num_queries=100)
    return data


def test_all_names_of_the_published_checkpoint() -> None:
    """Every one of the 928 tensors of the ResNet-101 checkpoint has its place, of its shape and type, and no other."""
    with torch.device("meta"):
        network = M2FP(parse_configuration(full_configuration(), "test"))
    ours = {name: [list(tensor.shape), str(tensor.dtype)[6:]] for name, tensor in network.state_dict().items()}
    published = json.loads((GOLDEN / "r101_keys.json").read_text())
    assert len(published) == 928
    assert ours == published


@torch.inference_mode()
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_runs(name: str, seeded: Callable[[str], Path]) -> None:
    """Whatever the configuration says, logits have the shapes it says, and deep predictions end in the plain one."""
    network, config = load_network(seeded(name))
    images = torch.randn(2, 3, 64, 96)
    plain, features, predictor = network(images), network.features(images), network.sem_seg_head.predictor
    deep = [predictor.predict(state, features.mask_features) for state in predictor.states(features)]
    queries = config.decoder.num_queries
    assert plain.class_logits.shape == (2, queries, config.decoder.num_classes + 1)
    assert plain.mask_logits.shape == (2, queries, 16, 24)
    assert len(deep) == config.decoder.dec_layers + 1
    assert all(torch.equal(one, other) for one, other in zip(deep[-1], plain, strict=True))
    assert all(output.isfinite().all() for output in plain)


@torch.inference_mode()
def test_mask_bias_shifts_its_queries_and_nothing_else() -> None:
    """A calibrated model answers with larger masks of the queries it says, and attends as before."""
    data = tiny_configuration()
    torch.manual_seed(0)
    plain = M2FP(parse_configuration(data, "test")).eval()
    queries = data["model"]["decoder"]["num_queries"]
    data["model"]["decoder"]["mask_bias"] = [0.75] * 3 + [0.0] * (queries - 3)
    biased = M2FP(parse_configuration(data, "test")).eval()
    biased.load_state_dict(plain.state_dict())
    images = torch.randn(1, 3, 64, 96)
    before, after = plain(images), biased(images)
    shift = after.mask_logits - before.mask_logits
    torch.testing.assert_close(shift[:, :3], torch.full_like(shift[:, :3], 0.75))
    assert torch.equal(after.mask_logits[:, 3:], before.mask_logits[:, 3:])
    assert torch.equal(after.class_logits, before.class_logits)


def test_dilation_keeps_the_stride() -> None:
    """A dilated res5 is as fine as res4."""
    data = full_configuration()
    data["model"]["backbone"]["res5_dilation"] = 2
    with torch.device("meta"):
        network = M2FP(parse_configuration(data, "test"))
    assert network.backbone.strides == {"res2": 4, "res3": 8, "res4": 16, "res5": 16}


def test_gradients_reach_every_weight(seeded: Callable[[str], Path]) -> None:
    """The network can be trained: with deep supervision no weight is left out."""
    network, _ = load_network(seeded("enforced-projection"))
    network.requires_grad_(requires_grad=True)
    features, predictor = network.features(torch.randn(1, 3, 64, 64)), network.sem_seg_head.predictor
    predictions = [predictor.predict(state, features.mask_features) for state in predictor.states(features)]
    torch.autograd.backward([output.square().mean() for one in predictions for output in one])
    assert not [name for name, weight in network.named_parameters() if weight.grad is None]


def test_queries_that_see_nothing_see_everything() -> None:
    """A query whose mask is negative everywhere attends everywhere; the others only where theirs is not negative."""
    decoder = TransformerDecoder(parse_configuration(full_configuration(), "test").decoder, 256, 3).eval()
    state = torch.randn(1, 2, 256)
    embedded = decoder.mask_embed(state)[0].detach()  # (2, 256)
    inverse = torch.linalg.pinv(embedded)  # features that give the wanted mask logits
    wanted = torch.tensor([[-1.0, -2.0, -3.0], [-1.0, 2.0, 0.5]])
    mask_features = (inverse @ wanted)[None]
    mask = decoder._attention_mask(state, Level(state, state, mask_features))
    expected = torch.tensor([[0.0, 0.0, 0.0], [-torch.inf, 0.0, 0.0]])
    assert torch.equal(mask[0, 0], expected)


def test_sine_positions() -> None:
    """Rows before columns, sine on even and cosine on odd features, counted from 1, scaled by 2π."""
    positions = sine_positions(torch.zeros(1, 1, 2, 5), 8)[0].reshape(2, 5, 8)
    row, column = 2 * np.pi * 2 / (2 + 1e-6), 2 * np.pi * 4 / (5 + 1e-6)
    expected = [f(x / w) for x in (row, column) for w in (1, 10000 ** (2 / 4)) for f in (np.sin, np.cos)]
    np.testing.assert_allclose(positions[1, 3], expected, atol=1e-6)
