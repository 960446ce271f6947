"""Backbones for training: ImageNet weights, frozen norms, and one backbone put in the place of another."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from edge_worker.m2fp.network.efficientnet import EfficientNetLite
from edge_worker.m2fp.network_configuration import EfficientNetLiteConfig
from training.frozen_norms import FoldedConv, fold_norms, freeze_early
from training.imagenet import fold_input
from training.model import LITE0_CONFIGURATION, configuration_of, new_student
from training.swap_backbone import Regression, keep_the_rest, pyramid


def lite0() -> EfficientNetLite:
    """Random weights, and statistics that a frozen BatchNorm must not lose."""
    torch.manual_seed(0)
    backbone = EfficientNetLite(EfficientNetLiteConfig(out_features=("res3", "res5")))
    for name, buffer in backbone.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)
    return backbone


def test_folded_norms_compute_the_same_and_keep_their_statistics() -> None:
    """In training mode the folded backbone gives what the plain one gives in use, and its weights keep their names."""
    plain, folded = lite0().eval(), lite0().train()
    fold_norms(folded)
    images = torch.rand(2, 3, 64, 96)
    for name, wanted in plain(images).items():
        torch.testing.assert_close(folded(images)[name], wanted, rtol=1e-3, atol=1e-4)
    assert isinstance(folded.stem, FoldedConv)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(folded.state_dict()[name], value)


def test_frozen_layers_take_no_gradient_and_the_others_do() -> None:
    """Up to stride 4 nothing learns; scales and offsets of the folded norms behind it do."""
    backbone = lite0()
    freeze_early(backbone)
    fold_norms(backbone)
    maps = backbone(torch.rand(1, 3, 32, 32))
    torch.stack([one.sum() for one in maps.values()]).sum().backward()
    learns = {name for name, parameter in backbone.named_parameters() if parameter.grad is not None}
    assert not any(name.startswith(("stem.", "res2.")) for name in learns)
    assert "res3.0.depthwise.norm.weight" in learns


def test_the_first_convolution_takes_another_normalisation() -> None:
    """Folded, it gives for x what it gave for scale·x + offset, away from the border."""
    backbone = lite0().eval()
    x, scale, offset = torch.rand(1, 3, 32, 32), torch.rand(3, 1, 1) + 0.5, torch.rand(3, 1, 1)
    wanted = backbone.stem(scale * x + offset)
    state = backbone.state_dict()
    fold_input(state, scale, offset)
    backbone.load_state_dict(state)
    torch.testing.assert_close(backbone.stem(x)[..., :-1, :-1], wanted[..., :-1, :-1], rtol=1e-4, atol=1e-5)


def test_regression_finds_a_linear_map() -> None:
    """What is a linear map of the features, plus a constant, is found again with its mean and variance."""
    torch.manual_seed(0)
    features, weight = torch.randn(5000, 4), torch.randn(3, 4)
    regression = Regression()
    for part in features.split(1000):
        regression.add(part, part @ weight.T + 2)
    found, mean, variance, wanted = regression.solve(4)
    torch.testing.assert_close(found, weight, rtol=0.01, atol=0.01)
    projected = features @ found.T
    torch.testing.assert_close(mean, projected.mean(dim=0), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(variance, projected.var(dim=0), rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(wanted, (features @ weight.T + 2).mean(dim=0), rtol=1e-3, atol=1e-3)


def test_behind_a_new_backbone_everything_stays() -> None:
    """All but the backbone and the projections is copied, and the weights tell which configuration they are of."""
    old, new = new_student(None), new_student(None, LITE0_CONFIGURATION)
    keep_the_rest(new, old)
    theirs = new.state_dict()
    for name, value in old.state_dict().items():
        if not name.startswith(("network.backbone.", "network.sem_seg_head.pixel_decoder.lateral.")):
            assert torch.equal(theirs[name], value)
    assert configuration_of(theirs) is LITE0_CONFIGURATION
    assert configuration_of(old.state_dict()) is not LITE0_CONFIGURATION
    assert [one.in_channels for one in pyramid(new).lateral] == [320, 112, 40, 24]
