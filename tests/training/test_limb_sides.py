"""Training of the network that decides left and right, on a scene and a photo drawn here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from msgspec import structs

pytest.importorskip("torch")

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_worker.m2fp.directory import open_directory, resolve
from edge_worker.m2fp.limb_sides import CROP, STRIDE, in_pixels, window_around
from edge_worker.m2fp.manifest import LIMB_SIDES_FILE, write_manifest
from edge_worker.m2fp.network.limb_sides import LimbSideNetwork
from training import rendered
from training.batches import Share
from training.cache import Pack
from training.found_people import FOUND
from training.labels import IGNORED, PARTS, Part
from training.limb_crops import Cells, LimbBatch, LimbCrops, cells_of, disturbed, targets
from training.limb_sides import LimbSideTask, add_to, first_network, limbs_right
from training.model import LITE0_CONFIGURATION, new_student, save_weights
from training.paste import Scene

CELLS = (CROP.height // STRIDE, CROP.width // STRIDE)
RNG = np.random.default_rng


def figure() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Class map of somebody who faces the camera: the left arm and leg are on the image's right."""
    labels = np.zeros((144, 256), dtype=np.uint8)
    labels[20:120, 80:120] = Part.COAT
    labels[40:80, 60:80], labels[40:80, 120:140] = Part.RIGHT_ARM, Part.LEFT_ARM
    labels[100:140, 80:95], labels[100:140, 105:120] = Part.RIGHT_LEG, Part.LEFT_LEG
    return labels


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packs of one rendered scene and one photo."""
    folder = tmp_path_factory.mktemp("data")
    labels = figure()
    values = np.where(labels > 0, labels + PARTS, 0).astype(np.uint8)
    picture = np.repeat(values[..., None] * 3, 3, axis=2)
    for file in ("000002", "000014"):  # the second one is held out
        cv2.imwrite(str(folder / f"{file}.png"), values)
        cv2.imwrite(str(folder / f"{file}.jpg"), picture)
    joints = {"upperarm01.L": [125, 40], "upperarm01.R": [75, 40]}
    person = {"id": 1, "pose": "stand", "age": 0.5, "bbox": [60, 20, 140, 140], "area": 8000, "joints": joints}
    lines = [json.dumps({"file": file, "people": [person], "cam_height": 2.0}) for file in ("000002", "000014")]
    (folder / "persons.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "cache").mkdir()
    rendered.build([folder], folder / "cache")
    Pack.write(folder / "cache" / FOUND, [("000002", values)])
    Pack.write(folder / "cache/photos.bin", [("one", picture)])
    Pack.write(folder / "cache/classes.bin", [("one", labels)])
    return folder / "cache"


def test_batches_are_split_between_processes(cache: Path) -> None:
    """Shapes as the network takes them; the same seed gives the same crops, and each process others."""
    first, again, other = (next(iter(LimbCrops(cache, Share(5, number, 2), seed=3))) for number in (0, 0, 1))
    assert first.crops.shape == (3, 4, CROP.height, CROP.width)
    assert first.weight.shape == first.left.shape == (3, *CELLS)
    assert other.crops.shape[0] == 2
    assert all(torch.equal(one, same) for one, same in zip(first, again, strict=True))
    assert not torch.equal(first.crops[:2], other.crops)


def test_every_example_has_limbs_of_both_sides(cache: Path) -> None:
    """Also when the scene was mirrored: what is left is on the right in the image of someone who faces the camera."""
    batch = next(iter(LimbCrops(cache, Share(24), seed=1)))
    assert set(np.unique(batch.crops[:, 3])) == {0, 1}
    for weight, left in zip(batch.weight, batch.left, strict=True):
        assert 0.3 < float(weight.sum()) <= 4 + 1e-4
        assert 0 <= float(left.min()) <= float(left.max()) <= 1 + 1e-4
        columns = torch.arange(CELLS[1], dtype=torch.float32)
        on_left, on_right = weight * left, weight * (1 - left)
        if min(on_left.sum(), on_right.sum()) > 0.2:
            middles = [float((one.sum(dim=0) * columns).sum() / one.sum()) for one in (on_left, on_right)]
            assert middles[0] > middles[1]


def test_limbs_of_others_have_no_weight(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither has somebody without limbs, or a speck, an example of their own."""
    labels, persons = figure(), (figure() > 0).astype(np.uint8)
    labels[40:80, 150:170], persons[40:80, 150:170] = Part.LEFT_ARM, 2
    labels[10:90, 200:230], persons[10:90, 200:230] = Part.COAT, 3
    labels[140:143, 5:8], persons[140:143, 5:8] = Part.LEFT_ARM, 4
    scene = Scene(np.zeros((144, 256, 3), np.uint8), labels, persons)
    monkeypatch.setattr("training.limb_crops._SHARES", (0, 1, 0))
    monkeypatch.setattr(rendered.Rendered, "draw", lambda *_: scene)
    monkeypatch.setattr("training.limb_crops._PER_SCENE", 4)
    batch = next(iter(LimbCrops(cache, Share(16), seed=1)))
    limbs = batch.weight.sum(dim=(1, 2))
    assert {round(float(one)) for one in limbs} == {1, 4}
    scene.persons[:] = 1  # no background at all
    scene.label_map[scene.label_map == 0] = Part.COAT
    assert next(iter(LimbCrops(cache, Share(2), seed=1))).weight.sum() > 0


def test_limbs_of_others_count_where_a_model_found_them_in_the_mask(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There the mask is what the worker would see, and all of it is decided."""
    labels = figure()
    labels[40:80, 150:170] = Part.LEFT_ARM
    mask = np.zeros_like(labels)
    mask[:, 100:200] = 1  # half of the person, and somebody else's arm
    scene = Scene(np.zeros((144, 256, 3), np.uint8), labels, mask)
    monkeypatch.setattr("training.limb_crops._SHARES", (0, 0, 1))
    monkeypatch.setattr(rendered.Rendered, "draw", lambda *_: scene)
    batch = next(iter(LimbCrops(cache, Share(8), seed=1)))
    for limbs, left, own in zip(batch.weight, batch.left, batch.crops[:, 3], strict=True):
        seen = functional.avg_pool2d(own[None], STRIDE)[0] > 0
        assert not (limbs[~functional.max_pool2d(seen[None].float(), 3, 1, 1)[0].bool()]).any()
        assert float(limbs.sum()) == pytest.approx(2, abs=0.3)  # arms together, and a leg
        assert float((limbs * left).sum()) == pytest.approx(2, abs=0.3)  # all of them left ones


@pytest.mark.parametrize(("shares", "as_found"), [((0, 1, 0), False), ((0, 0, 1), True)])
def test_people_found_are_another_pack(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shares: tuple[int, int, int], *, as_found: bool
) -> None:
    """Their masks stay as they are; those of the true people are disturbed."""
    place = shutil.copytree(cache, tmp_path / "cache")
    labels = figure()
    one_side = np.isin(labels, (Part.RIGHT_ARM, Part.RIGHT_LEG))
    Pack.write(place / FOUND, [("000002", labels + PARTS * one_side.astype(np.uint8))])
    disturbances: list[Cells] = []

    def keep(_rng: object, cells: Cells, _others: Cells) -> Cells:
        disturbances.append(cells)
        return cells

    monkeypatch.setattr("training.limb_crops._SHARES", shares)
    monkeypatch.setattr("training.limb_crops.disturbed", keep)
    batch = next(iter(LimbCrops(place, Share(12), seed=1)))
    left = (batch.weight * batch.left).sum(dim=(1, 2)) / batch.weight.sum(dim=(1, 2))
    assert bool(((left < 0.01) | (left > 0.99)).all()) == as_found
    assert bool(disturbances) != as_found


def test_strays_do_not_enlarge_the_window(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of people as a model finds them: the worker's window leaves such pieces out, too."""
    mask = np.zeros((144, 256), np.uint8)
    mask[:, 50:150] = mask[4:12, 244:252] = 1
    scene = Scene(np.zeros((144, 256, 3), np.uint8), figure(), mask)
    monkeypatch.setattr("training.limb_crops._SHARES", (0, 0, 1))
    monkeypatch.setattr(rendered.Rendered, "draw", lambda *_: scene)
    batch = next(iter(LimbCrops(cache, Share(16), seed=1)))
    assert int(batch.crops[:, 3].any(dim=2).sum(dim=1).min()) > 0.6 * CROP.height


def test_crops_are_augmented(cache: Path) -> None:
    """Colours differ between draws of the same scene, and masks are not the true ones only."""
    batch = next(iter(LimbCrops(cache, Share(24), seed=1)))
    brightness = batch.crops[:, :3].mean(dim=(1, 2, 3))
    assert float(brightness.std()) > 0.1
    limbs = functional.max_pool2d(batch.weight[:, None], 3, 1, 1)[:, 0] > 0
    seen = functional.avg_pool2d(batch.crops[:, 3:], STRIDE)[:, 0] > 0.5
    assert (limbs & ~seen).any(dim=(1, 2)).any()


def test_targets_weigh_limbs_alike() -> None:
    """A limb adds up to 1, a tiny one to less; what is no limb, or a doubtful one, has no weight."""
    labels = figure()
    labels[100:103, 100:103] = Part.LEFT_SHOE
    labels[0:10, 0:10] = IGNORED
    window = window_around(cells_of(labels > 0))
    weight, left = targets(labels, window)
    shoe = (labels == Part.LEFT_SHOE).sum() * (CROP.width / in_pixels(window).width) ** 2 / 100
    assert weight.sum() == pytest.approx(4 + shoe, rel=0.05)
    assert (weight * left).sum() == pytest.approx(2 + shoe, rel=0.05)
    assert not weight[:8].any()


def test_cells_are_those_mostly_covered() -> None:
    """Also at the edge of images whose sides are no multiple of a cell."""
    mask = np.zeros((10, 13), np.bool_)
    mask[:10, 4:7] = True
    mask[8:, 12] = True
    np.testing.assert_array_equal(cells_of(mask), [[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]])


def test_disturbed_masks_still_show_the_person() -> None:
    """They vary, most of the person stays, and of others only those nearby are added."""
    cells = np.zeros((40, 60), np.bool_)
    cells[5:35, 20:30] = True
    near, far = np.zeros((2, *cells.shape), np.bool_)
    near[5:35, 30:33], far[5:35, 50:] = True, True
    masks = [disturbed(RNG(seed), cells, near | far) for seed in range(200)]
    assert len({mask.tobytes() for mask in masks}) > 30
    assert all(np.count_nonzero(mask & cells) > 0.5 * cells.sum() for mask in masks)
    assert 10 < sum((mask & near).sum() > near.sum() / 2 for mask in masks) < 100
    assert not any((mask & far).any() for mask in masks)


def test_it_starts_from_the_backbone_of_the_other_network(tmp_path: Path) -> None:
    """The mask has no effect at first; weights of its own kind are taken whole, and resume exactly."""
    torch.manual_seed(0)
    student = new_student(None, LITE0_CONFIGURATION)
    save_weights(student.state_dict(), tmp_path / "start.pt")
    network = LimbSideTask(tmp_path / "start.pt").network.eval()
    crops = torch.randn(1, 4, CROP.height, CROP.width)
    with torch.inference_mode():
        theirs = student.eval().network.backbone(crops[:, :3])
        ours = network.backbone(crops)
        for name in ours:
            torch.testing.assert_close(ours[name], theirs[name], atol=2e-2, rtol=2e-2)
        again = first_network(network.state_dict()).eval()
        torch.testing.assert_close(again(crops), network(crops))


def test_it_learns(cache: Path, tmp_path: Path) -> None:
    """The losses of one batch fall."""
    torch.manual_seed(0)
    save_weights(LimbSideNetwork().state_dict(), tmp_path / "start.pt")
    task = LimbSideTask(tmp_path / "start.pt")
    optimiser = torch.optim.AdamW(task.network.parameters(), 2e-3)
    batch = next(iter(LimbCrops(cache, Share(8), seed=2)))
    losses = []
    for _ in range(12):
        (loss,) = task.losses(batch).values()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.6 * losses[0]


def test_the_loss_is_the_mean_over_limbs(tmp_path: Path) -> None:
    """Cross-entropy by weight; cells of no limb, and how many limbs there are, do not matter; nor does none at all."""
    save_weights(LimbSideNetwork().state_dict(), tmp_path / "start.pt")
    task = LimbSideTask(tmp_path / "start.pt")
    task.network.forward = lambda _: torch.tensor([[[2.0, -1.0, 9.0]]])
    weight, left = torch.tensor([[[0.3, 0.1, 0.0]]]), torch.tensor([[[1.0, 0.0, 0.0]]])
    expected = (0.3 * np.log1p(np.exp(-2)) + 0.1 * np.log1p(np.exp(-1))) / 0.4
    for scale in (1, 10):
        batch = LimbBatch(torch.zeros(1, 4, 4, 12), scale * weight, left)
        assert float(task.losses(batch)["sides"]) == pytest.approx(expected, rel=1e-3)
    assert float(task.losses(LimbBatch(torch.zeros(1, 4, 4, 12), 0 * weight, left))["sides"]) == 0


class Knows(nn.Module):
    """Says left on the image's right, or the contrary."""

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.sign = sign

    def forward(self, crops: Tensor) -> Tensor:
        return (self.sign * torch.linspace(-1, 1, CELLS[1])).expand(len(crops), *CELLS)


@pytest.mark.parametrize(("sign", "share"), [(1.0, 1.0), (-1.0, 0.0)])
def test_the_check_counts_limbs_of_held_out_people(cache: Path, sign: float, share: float) -> None:
    """The arms and legs of the one who faces the camera."""
    assert limbs_right(Knows(sign), cache.parent) == share


def test_it_is_added_to_an_exported_model(tmp_path: Path) -> None:
    """The manifest then vouches for its file, stored in half precision; figures of a gate without it are dropped."""
    model = Path(shutil.copytree(resolve("builtin:m2fp-lite"), tmp_path / "model"))
    without = open_directory(model).exported()
    write_manifest(
        model,
        structs.replace(
            without,
            files={name: digest for name, digest in without.files.items() if name != LIMB_SIDES_FILE},
            precisions={"bf16": "good"},
        ),
    )
    assert not open_directory(model).decides_sides
    add_to(model, LimbSideNetwork())
    assert open_directory(model).decides_sides
    assert not open_directory(model).exported().precisions
    assert sum(file.stat().st_size for file in model.glob("limb-sides*")) < 2_200_000
