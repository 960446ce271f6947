"""A mask that covers two people is divided between them; every other mask stays as it is."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import openvino
import pytest
import torch
from torch import Tensor, nn

from edge_worker.m2fp.configuration import parse_configuration
from edge_worker.m2fp.network.m2fp import M2FP
from edge_worker.m2fp.network.person_split import split_persons
from edge_worker.m2fp.network.transformer_decoder import Prediction
from training.model import LITE0_CONFIGURATION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEIGHT, WIDTH = 24, 40  # of the map of centres; masks are twice as large
INSIDE = 6.0  # logit of a cell inside a mask


def scene(*people: tuple[int, int], height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    """Centres (1, 2, height, width): columns from, to of each person; 0, 0 elsewhere."""
    centres = torch.zeros(1, 2, height, width)
    for left, right in people:
        centres[:, 0, :, left:right] = (left + right) / 2 / width
        centres[:, 1, :, left:right] = 0.5
    return centres


def mask(left: int, right: int, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    """Mask logits (2 · height, 2 · width), positive between two columns of the map of centres."""
    logits = torch.full((2 * height, 2 * width), -INSIDE)
    logits[:, 2 * left : 2 * right] = INSIDE
    return logits


def prediction(*person_masks: Tensor) -> Prediction:
    """One part query and a person query for each mask, all certain of their class; classes: part, person."""
    part = mask(0, WIDTH) if not person_masks else torch.full_like(person_masks[0], INSIDE)
    classes = torch.tensor([[9.0, 0.0, 0.0], *[[0.0, 9.0, 0.0]] * len(person_masks)])
    return Prediction(classes[None], torch.stack([part, *person_masks])[None])


def columns_of(logits: Tensor) -> tuple[int, int]:
    """First and last column, in cells of the map of centres, of a mask."""
    inside = (logits > 0).all(dim=0).nonzero().flatten()
    return int(inside[0]) // 2, int(inside[-1]) // 2 + 1


def test_two_people_in_one_mask_become_two() -> None:
    """Each gets the cells that predict its centre and the score of the mask they shared."""
    before = prediction(mask(4, 28))
    after = split_persons(before, scene((4, 16), (16, 28)), 1)
    assert sorted(columns_of(one) for one in after.mask_logits[0, 1:]) == [(4, 16), (16, 28)]
    assert torch.equal(after.class_logits[0, 1:], before.class_logits[0, 1:].expand(2, -1))


def test_parts_are_not_split() -> None:
    """Only the last queries are persons."""
    before = prediction(mask(4, 28))
    after = split_persons(before, scene((4, 16), (16, 28)), 1)
    assert torch.equal(after.mask_logits[:, :1], before.mask_logits[:, :1])
    assert torch.equal(after.class_logits[:, :1], before.class_logits[:, :1])


@pytest.mark.parametrize(
    ("covered", "people"),
    [
        ((4, 28), [(4, 28)]),
        ((4, 5), [(4, 5)]),
        ((4, 16), [(4, 16), (16, 28)]),  # the neighbour is outside the mask
        ((4, 17), [(4, 16), (16, 38)]),  # a fringe of the neighbour
    ],
)
def test_one_person_keeps_its_mask(covered: tuple[int, int], people: list[tuple[int, int]]) -> None:
    """The second person of the query is "no object"."""
    before = prediction(mask(*covered))
    after = split_persons(before, scene(*people), 1)
    assert torch.equal(after.mask_logits[:, :2], before.mask_logits)
    assert torch.equal(after.class_logits[:, :2], before.class_logits)
    assert after.class_logits[0, 2].softmax(0)[-1] > 0.999


def standing(*people: tuple[slice, slice], height: int = HEIGHT, width: int = WIDTH) -> tuple[Prediction, Tensor]:
    """One query whose mask covers all *people* (rows, columns); each cell predicts the centre of the nearest one."""
    middles = torch.tensor(
        [[(columns.start + columns.stop) / 2, (rows.start + rows.stop) / 2] for rows, columns in people]
    )
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    nearest = torch.cdist(torch.stack([x, y], dim=-1).flatten(0, 1), middles).argmin(dim=1)
    centres = (middles / torch.tensor([width, height]))[nearest].T.reshape(1, 2, height, width)
    covered = torch.full((2 * height, 2 * width), -INSIDE)
    for rows, columns in people:
        covered[2 * rows.start : 2 * rows.stop, 2 * columns.start : 2 * columns.stop] = INSIDE
    return prediction(covered), centres


def test_people_above_each_other() -> None:
    """Centres that differ in their row only are two groups as well."""
    above, below = (slice(0, 10), slice(10, 20)), (slice(10, 20), slice(10, 20))
    after = split_persons(*standing(above, below), 1)
    inside = after.mask_logits[0, 1:, ::2, ::2] > 0
    assert inside.sum(dim=(1, 2)).tolist() == [100, 100]
    assert sorted(int(one.nonzero()[0, 0]) for one in inside) == [0, 10]


@pytest.mark.parametrize(("columns", "people"), [(1, 1), (2, 2)])
def test_a_person_has_some_cells(columns: int, people: int) -> None:
    """Below six cells the second is an error of a few cells, not a person."""
    rows = slice(8, 13)
    first, second = slice(10, 10 + columns), slice(20, 20 + columns)
    after = split_persons(*standing((rows, first), (rows, second)), 1)
    assert int((after.class_logits[0, 1:].argmax(dim=1) == 1).sum()) == people


def test_the_border_is_sharp() -> None:
    """Where the pixels predict the other's centre, a mask is as certain to end as where nobody is."""
    rows = slice(0, HEIGHT)
    after = split_persons(*standing((rows, slice(4, 16)), (rows, slice(16, 28))), 1)
    left, right = sorted(after.mask_logits[0, 1:], key=columns_of)
    assert left[:, 34:].max() <= -INSIDE
    assert right[:, :30].max() <= -INSIDE


@pytest.mark.parametrize("centre", range(11, 51))
def test_neighbours_anywhere_on_the_grid(centre: int) -> None:
    """Where the centres lie between two points of the grid of equal density, too."""
    rows, width = slice(0, HEIGHT), 80
    people = [(rows, slice(middle - 7, middle + 7)) for middle in (centre, centre + 14)]
    after = split_persons(*standing(*people, width=width), 1)
    found = sorted(columns_of(one) for one in after.mask_logits[0, 1:])
    assert found == [(centre - 7, centre + 7), (centre + 7, centre + 21)]


def test_uncertain_centres_do_not_split() -> None:
    """Predictions that scatter around one centre are one group."""
    torch.manual_seed(0)
    centres = scene((4, 28)) + torch.randn(1, 2, HEIGHT, WIDTH) * torch.tensor([3 / WIDTH, 4 / HEIGHT])[:, None, None]
    after = split_persons(prediction(mask(4, 28)), centres, 1)
    assert after.class_logits[0, 2].argmax() == 2


def test_an_empty_mask_is_nobody() -> None:
    """A query without pixels has no groups, and nothing becomes NaN."""
    after = split_persons(prediction(torch.full((2 * HEIGHT, 2 * WIDTH), -INSIDE)), scene((4, 16), (16, 28)), 1)
    assert after.class_logits[0, 2].argmax() == 2
    assert all(output.isfinite().all() for output in after)


def test_each_query_is_split_for_itself() -> None:
    """In a batch too."""
    first, second = scene((4, 16), (16, 28)), scene((4, 28))
    one = prediction(mask(4, 28), mask(16, 28))
    both = Prediction(*(torch.cat([logits, logits]) for logits in one))
    after = split_persons(both, torch.cat([first, second]), 2)
    assert (after.class_logits[:, 3:].argmax(dim=2) == 1).tolist() == [[True, False], [False, False]]


class Split(nn.Module):
    """The function as a network, to be exported."""

    def forward(self, classes: Tensor, masks: Tensor, centres: Tensor) -> Prediction:
        """Split the last two queries."""
        return split_persons(Prediction(classes, masks), centres, 2)


def run_onnxruntime(file: Path, inputs: dict[str, Any]) -> list[Any]:
    """Return class and mask logits."""
    return list(onnxruntime.InferenceSession(file).run(None, inputs))


def run_openvino(file: Path, inputs: dict[str, Any], precision: str = "f32") -> list[Any]:
    """Return class and mask logits."""
    compiled = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    return list(compiled(inputs).values())


NAMES = ("classes", "masks", "centres")
SIZES = ((HEIGHT, WIDTH), (36, 64), (52, 28), (40, 76))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The function as an ONNX file."""
    traced = (*prediction(mask(4, 28), mask(16, 28)), scene((4, 16), (16, 28)))
    axes = {"masks": {2: "H", 3: "W"}, "centres": {2: "h", 3: "w"}}
    file = tmp_path_factory.mktemp("split") / "split.onnx"
    with warnings.catch_warnings():  # of the exporter, see edge_worker.m2fp.export
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            Split(), traced, str(file), input_names=list(NAMES), dynamic_axes=axes, opset_version=17, dynamo=False
        )
    return file


def example(height: int, width: int) -> tuple[Prediction, dict[str, Any]]:
    """What PyTorch gives, and the inputs for an engine: at the right border, two people in a mask, and one of them."""
    left, between, right = width - 16, width - 7, width - 1
    masks = [mask(left, right, height, width), mask(between, right, height, width)]
    inputs = (*prediction(*masks), scene((left, between), (between, right), height=height, width=width))
    return Split()(*inputs), {name: value.numpy() for name, value in zip(NAMES, inputs, strict=True)}


@pytest.mark.parametrize("run", [run_onnxruntime, run_openvino])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_engines_split_alike(
    exported: Path, height: int, width: int, run: Callable[[Path, dict[str, Any]], list[Any]]
) -> None:
    """The exported operations give the same result at other sizes than the traced one."""
    expected, inputs = example(height, width)
    assert expected.class_logits[0, 3:].argmax(dim=1).tolist() == [1, 2]  # one is split, one is not
    for one, other in zip(run(exported, inputs), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("centre", range(11, 51))
def test_bf16_is_enough(exported: Path, centre: int) -> None:
    """Its eight digits place the border where f32 does (CPUs without bf16 compute in f32)."""
    rows, width = slice(0, HEIGHT), 80
    people = [(rows, slice(middle - 7, middle + 7)) for middle in (centre, centre + 14)]
    (classes, masks), centres = standing(*people, width=width)
    twice = (torch.cat([classes, classes[:, 1:]], dim=1), torch.cat([masks, masks[:, 1:]], dim=1), centres)
    inputs = {name: value.numpy() for name, value in zip(NAMES, twice, strict=True)}
    found_classes, found_masks = run_openvino(exported, inputs, "bf16")
    assert (found_classes[0, 3:].argmax(axis=1) == 1).all()
    inside = found_masks[0, [1, 3]] > 0
    expected = Split()(*twice).mask_logits[0, [1, 3]].numpy() > 0
    assert max((inside == expected).mean(), (inside == expected[::-1]).mean()) > 0.99


@torch.inference_mode()
def test_the_network_splits_as_configured() -> None:
    """With ``decoder.split_queries`` the output has one more query for each of them; without, as before."""
    model = LITE0_CONFIGURATION["model"]
    split = LITE0_CONFIGURATION | {"model": model | {"decoder": model["decoder"] | {"split_queries": 16}}}
    torch.manual_seed(0)
    plain = M2FP(parse_configuration(LITE0_CONFIGURATION, "test")).eval()
    splitting = M2FP(parse_configuration(split, "test")).eval()
    splitting.load_state_dict(plain.state_dict())
    images = torch.randn(1, 3, 64, 96)
    cues = plain.features(images).cues
    assert cues is not None
    expected = split_persons(plain(images), cues.centres, 16)
    found = splitting(images)
    assert found.class_logits.shape[1] == plain(images).class_logits.shape[1] + 16
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
