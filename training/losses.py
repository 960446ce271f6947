"""Losses: the mask and presence of every part, and the persons one by one.

The first queries are the parts, one fixed query per class; the others are for persons and are matched to the persons of
the image in every step (Mask2Former, arXiv 2112.01527, section 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from training.labels import MIRRORED, PARTS, SHOE, Part, allowed_parts
from training.matching import assign
from training.model import MASK_BIAS, PART_BIAS

if TYPE_CHECKING:
    from edge_worker.m2fp.network.transformer_decoder import Prediction
    from training.model import Deep

PERSON = PARTS  # index of the person class
NO_OBJECT = PARTS + 1

# A pixel gets the likeliest class only if its sigmoid exceeds 0.5. Pixels inside a part have twelve times the weight,
# so that 0.5 means a probability of 1/13: between dress, skirt and blouse the likeliest is output, not a hole.
PART_WEIGHT = 12.0

# Class weights in the softmax: higher for small and rare classes, because each group's IoU counts the same.
_CLASS_WEIGHTS = {
    Part.BACKGROUND: 0.8,
    Part.HAT: 2.5,
    Part.HAIR: 1.3,
    Part.GLOVE: 3.0,
    Part.SUNGLASSES: 3.0,
    Part.SOCKS: 2.5,
    Part.SCARF: 2.5,
    Part.SKIRT: 1.2,
    Part.LEFT_SHOE: 1.5,
    Part.RIGHT_SHOE: 1.5,
    SHOE: 1.5,
}

_LEAST_LIMB = 1.0  # cells of the cues' map: the position of a smaller limb is uncertain


class Targets(NamedTuple):
    """Ground truth of a batch at mask resolution."""

    labels: Tensor  # (B, h, w) int64, values of `labels`, of a pixel next to the cell's centre
    parts: Tensor  # (B, 20, h, w) share of the cell that is certainly the part
    known: Tensor  # (B, 20, h, w) share of the cell where it is known whether it is the part
    present: Tensor  # (B, 20) 1 present, 0 absent, -1 unknown
    persons: list[Tensor]  # (n, h, w) share of the cell that is the person

    def every_other(self) -> Targets:
        """Return half the rows and columns: enough for the decoder's early layers."""
        persons = [one[:, ::2, ::2] for one in self.persons]
        parts, known = self.parts[..., ::2, ::2], self.known[..., ::2, ::2]
        return Targets(self.labels[:, ::2, ::2], parts, known, self.present, persons)


@dataclass(frozen=True)
class Weights:
    """Weight of each loss."""

    semantic: float = 1.0
    mask: float = 2.0
    dice: float = 1.0
    presence: float = 0.5
    foreground: float = 2.0
    side: float = 1.0
    cues: float = 3.0
    pixel_centre: float = 20.0
    person_mask: float = 2.0
    person_dice: float = 2.0
    separation: float = 2.0
    query_centre: float = 5.0
    person_class: float = 2.0
    no_object: float = 0.2
    auxiliary: float = 0.5


class TargetMaker:
    """Converts class maps and person maps to targets at a quarter of their size."""

    def __init__(self) -> None:
        """Create the lookup tables."""
        allowed = torch.from_numpy(allowed_parts())  # (256, 20)
        certain = allowed.sum(dim=1) == 1
        self.allowed = allowed
        self._parts = (allowed & certain[:, None]).to(torch.uint8)
        self._known = (~allowed | certain[:, None]).to(torch.uint8)

    def __call__(self, labels: Tensor, persons: Tensor) -> Targets:
        """Convert *labels* and *persons*, both (B, H, W) uint8, H and W multiples of 4."""
        corners = _corners(labels).long()
        parts, known = (_pooled(table[corners]) for table in (self._parts, self._known))
        present = (parts.flatten(2).amax(dim=2) > 0).float()
        present[(present == 0) & (known.flatten(2).amin(dim=2) < 1)] = -1
        masks = [_person_masks(one) for one in _corners(persons)]
        # A cell has no centre pixel: take one of the four around it at random, else all masks would be shifted.
        row, column = torch.randint(1, 3, (2,)).tolist()
        return Targets(labels[:, row::4, column::4].long(), parts, known, present, masks)


def _corners(pixels: Tensor) -> Tensor:
    """(B, H, W) → (B, H/2, W/2): the corner pixels of each 4×4 cell, whose mean position is its centre."""
    rows, columns = (torch.arange(size).view(-1, 4)[:, [0, 3]].flatten() for size in pixels.shape[1:])
    return pixels[:, rows][..., columns]


def _pooled(one_hot: Tensor) -> Tensor:
    """(B, h, w, C) uint8 → mean over 2×2 cells (B, C, h/2, w/2)."""
    return functional.avg_pool2d(one_hot.permute(0, 3, 1, 2).float(), 2)


def _person_masks(numbers: Tensor) -> Tensor:
    """(h, w) person numbers → (n, h/2, w/2)."""
    count = int(numbers.max())
    one_hot = numbers[None] == torch.arange(1, count + 1)[:, None, None]
    return functional.avg_pool2d(one_hot[:, None].float(), 2)[:, 0]


class Criterion:
    """Computes all losses over all predictions of a batch."""

    def __init__(self, weights: Weights, allowed: Tensor, anchors: Tensor) -> None:
        """`anchors` (n, 2): initial position (x, y in 0…1) of each person query."""
        self.weights = weights
        self._forbidden = torch.where(allowed, 0.0, -torch.inf)  # (256, 20)
        self._weights = torch.ones(256)
        self._weights[list(_CLASS_WEIGHTS)] = torch.tensor(list(_CLASS_WEIGHTS.values()))
        self._anchors = anchors

    def __call__(self, deep: Deep, targets: Targets) -> dict[str, Tensor]:
        """Return each weighted loss: final prediction plus the mean over the early ones, and the auxiliary losses."""
        total = self._one(deep.final, deep.query_centres[-1], targets)
        coarse = targets.every_other()
        for prediction, centres in zip(deep.early, deep.query_centres[:-1], strict=True):
            for name, value in self._one(prediction, centres, coarse).items():
                total[name] = total[name] + value / len(deep.early)
        total["cues"] = self.weights.cues * cues_loss(deep.sides.float(), coarse)
        total["pixel_centre"] = self.weights.pixel_centre * pixel_centre_loss(deep.pixel_centres.float(), coarse)
        total["auxiliary"] = self.weights.auxiliary * self.semantic(deep.auxiliary.float(), targets)
        return total

    def _one(self, prediction: Prediction, centres: Tensor, targets: Targets) -> dict[str, Tensor]:
        masks, classes = prediction.mask_logits.float(), prediction.class_logits.float()
        part_masks, person_masks = masks[:, :PARTS], masks[:, PARTS:]
        weights = self.weights
        mask, dice = part_losses(part_masks, targets)
        losses = {
            "semantic": weights.semantic * self.semantic(part_masks, targets),
            "mask": weights.mask * mask,
            "dice": weights.dice * dice,
            "presence": weights.presence * presence_loss(classes[:, :PARTS], targets),
            "side": weights.side * side_loss(part_masks, targets),
            "foreground": weights.foreground * foreground_loss(shown(part_masks, classes[:, :PARTS]), targets),
        }
        return losses | self._persons(person_masks, classes[:, PARTS:], centres, targets)

    def semantic(self, logits: Tensor, targets: Targets) -> Tensor:
        """Return the pixelwise cross-entropy of the classes; for an undecided pixel, of the union of its classes."""
        log_probability = logits.log_softmax(dim=1).permute(0, 2, 3, 1)  # (B, h, w, 20)
        permitted = log_probability + self._forbidden[targets.labels]
        weights = self._weights[targets.labels]
        return -(weights * torch.logsumexp(permitted, dim=-1)).sum() / weights.sum()

    def _persons(self, masks: Tensor, classes: Tensor, centres: Tensor, targets: Targets) -> dict[str, Tensor]:
        weights = self.weights
        wanted = torch.full(classes.shape[:2], NO_OBJECT)
        mask_losses, dice_losses, separation_losses, centre_losses = [], [], [], []
        for picture, truth in enumerate(targets.persons):
            if not len(truth):
                continue
            chosen = self._match(masks[picture].detach(), classes[picture].detach(), truth)
            wanted[picture, chosen] = PERSON
            mask_losses.append(binary_loss(masks[picture, chosen], truth).mean(dim=(1, 2)))
            dice_losses.append(dice_loss(masks[picture, chosen], truth))
            centre_losses.append((centres[picture, chosen] - _centres(truth)).abs().sum(dim=1))
            if len(truth) > 1:
                separation_losses.append(separation_loss(masks[picture, chosen], truth))
        class_weights = torch.ones(NO_OBJECT + 1)
        class_weights[NO_OBJECT] = weights.no_object
        person_class = functional.cross_entropy(classes.flatten(0, 1), wanted.flatten(), class_weights)
        losses = {"person_class": weights.person_class * person_class}
        if mask_losses:
            losses["person_mask"] = weights.person_mask * torch.cat(mask_losses).mean()
            losses["person_dice"] = weights.person_dice * torch.cat(dice_losses).mean()
            losses["query_centre"] = weights.query_centre * torch.cat(centre_losses).mean()
        if separation_losses:
            losses["separation"] = weights.separation * torch.cat(separation_losses).mean()
        return losses

    def _match(self, masks: Tensor, classes: Tensor, truth: Tensor) -> Tensor:
        """Return the index of the query matched to each person (n,)."""
        small, true = masks[:, ::2, ::2].flatten(1), truth[:, ::2, ::2].flatten(1)  # a quarter of the cells is enough
        inside, outside = functional.softplus(-small), functional.softplus(small)
        mask_cost = (inside @ true.T + outside @ (1 - true).T) / true.shape[1]
        probability = small.sigmoid()
        overlap = 2 * probability @ true.T / (probability.sum(1)[:, None] + true.sum(1)[None] + 1)
        score = classes.softmax(-1)[:, PERSON, None]
        distance = torch.cdist(self._anchors, _centres(truth))
        cost = 5 * mask_cost + 5 * (1 - overlap) - 2 * score + 2 * distance
        return assign(cost)


def _centres(masks: Tensor) -> Tensor:
    """Return the centres of mass (n, 2), x and y in 0…1."""
    mass = masks.sum(dim=(1, 2)).clamp(min=1e-6)
    rows = torch.linspace(0, 1, masks.shape[1])
    columns = torch.linspace(0, 1, masks.shape[2])
    return torch.stack([masks.sum(1) @ columns / mass, masks.sum(2) @ rows / mass], dim=1)


def binary_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the elementwise binary cross-entropy of a mask."""
    return functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")


def dice_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Return 1 - Dice coefficient of each mask (n, h, w) → (n,), smoothed by 1."""
    probability, truth = logits.sigmoid().flatten(1), truth.flatten(1)
    overlap = 2 * (probability * truth).sum(1)
    return 1 - (overlap + 1) / (probability.sum(1) + truth.sum(1) + 1)


def separation_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the cross-entropy of a softmax over the persons of an image, inside each person (n, h, w) → (n,).

    A mask that covers two people costs little in the losses of single masks; here it competes with the mask of the
    second one.
    """
    missed = (truth * logits.log_softmax(dim=0)).sum(dim=(1, 2))
    return -missed / (truth.sum(dim=(1, 2)) + 1)


def part_losses(logits: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
    """Return mask cross-entropy over all parts, absent ones too, and Dice loss of present ones, over known cells."""
    weight = targets.known * (1 + (PART_WEIGHT - 1) * targets.parts)
    mask = (binary_loss(logits, targets.parts) * weight).mean() * 4  # most parts are absent or small
    present = targets.present > 0
    masked = torch.where(targets.known[present] > 0, logits[present], -20.0)
    return mask, dice_loss(masked, targets.parts[present]).mean()


def side_loss(masks: Tensor, targets: Targets) -> Tensor:
    """Return the cross-entropy of left against right where a limb's side is known; each pair has the same weight.

    The classes' cross-entropy hardly trains this: limbs are few pixels, and a wrong side costs no more than a wrong
    garment, though it takes the whole figure to distinguish a person's front from the back.
    """
    losses = []
    for left, right in MIRRORED:
        limb = targets.parts[:, left] + targets.parts[:, right]
        truth = targets.parts[:, left] / limb.clamp(min=1e-6)
        entropy = binary_loss(masks[:, left] - masks[:, right], truth.clamp(max=1))
        losses.append((entropy * limb).sum() / (limb.sum() + 1))
    return torch.stack(losses).sum()


def cues_loss(logits: Tensor, targets: Targets) -> Tensor:
    """Return the cross-entropy of the cues to a limb's side: person seen from behind, and limb on the image's left.

    A limb is the left one if it is on the left of its pair on a person seen from behind, or on the right on a person
    who faces the camera. Each cue is easy to learn, but not from their combination. A person counts by the square root
    of its area. The answers are not balanced, although the photos show hardly anybody from behind: balanced, they
    made half of the rendered people who face the camera seem to turn their backs.

    `logits` as `sides` in :class:`training.model.Deep`, with targets of that size.
    """
    behind = torch.zeros(logits.shape[0], *logits.shape[2:])  # 1 behind, -1 facing, 0 unknown
    limb_left = torch.zeros(logits.shape[0], len(MIRRORED), *logits.shape[2:])
    columns = torch.arange(logits.shape[3], dtype=torch.float32)
    for picture, persons in enumerate(targets.persons):
        for person in persons:
            votes = torch.zeros(())
            for pair, sides in enumerate(MIRRORED):
                left, right = targets.parts[picture, list(sides)] * person
                least = torch.minimum(left.sum(), right.sum())
                if least < _LEAST_LIMB:
                    continue
                apart = ((right.sum(0) @ columns) / right.sum() - (left.sum(0) @ columns) / left.sum()).clamp(-2, 2)
                votes += least * apart
                if apart.abs() > 1:
                    limb_left[picture, pair] += (left - right) * apart.sign()
            behind[picture] += (person > 0.5) * votes.sign() / person.sum().clamp(min=1).sqrt()
    wanted = torch.cat([behind[:, None], limb_left], dim=1)
    weight = wanted.abs()
    entropy = functional.softplus(-wanted.sign() * logits) * weight
    return (entropy.sum(dim=(0, 2, 3)) / (weight.sum(dim=(0, 2, 3)) + 1)).sum()


def pixel_centre_loss(centres: Tensor, targets: Targets) -> Tensor:
    """Return the mean distance between predicted and true centre (of the visible part), averaged over persons.

    `centres` as `pixel_centres` in :class:`training.model.Deep`, with targets of that size.
    """
    distances = [
        ((found - _centres(persons)[:, :, None, None]).abs().sum(1) * persons).sum(dim=(1, 2))
        / (persons.sum(dim=(1, 2)) + 1)
        for found, persons in zip(centres, targets.persons, strict=True)
        if len(persons)
    ]
    return torch.cat(distances).mean() if distances else centres.sum() * 0


def presence_loss(classes: Tensor, targets: Targets) -> Tensor:
    """Return the class loss of the part queries: the target is the own class, or "no object" if the part is absent."""
    own = torch.arange(PARTS).expand(classes.shape[0], -1)
    wanted = torch.where(targets.present > 0, own, NO_OBJECT)
    wanted = torch.where(targets.present < 0, -100, wanted)
    return functional.cross_entropy(classes.flatten(0, 1), wanted.flatten())


def shown(masks: Tensor, classes: Tensor) -> Tensor:
    """Return the value that the pipeline compares with 0.5 to separate parts from background, (B, h, w) in 0…1.

    It is the maximum over the parts of the mask's sigmoid times its score (class probability times mean sigmoid inside
    the mask), with the biases of the export. Scores get no gradient here: the presence loss trains them.
    """
    biased = classes[:, 1:] + functional.pad(torch.full((PARTS,), PART_BIAS), (0, 2))
    probability = (masks[:, 1:] + MASK_BIAS).sigmoid()
    with torch.no_grad():
        certain = biased.softmax(-1)[..., 1:PARTS].diagonal(dim1=1, dim2=2)
        inside = probability > 0.5
        quality = (probability * inside).sum(dim=(2, 3)) / (inside.sum(dim=(2, 3)) + 1e-6)
    return (probability * (certain * quality)[..., None, None]).amax(dim=1)


def foreground_loss(shown: Tensor, targets: Targets) -> Tensor:
    """Return cross-entropy plus soft Jaccard distance of `shown` (B, h, w) from the true foreground, where known."""
    known = targets.known[:, 0]
    truth = (1 - targets.parts[:, 0]) * known
    found = shown.clamp(1e-4, 1 - 1e-4) * known
    entropy = functional.binary_cross_entropy(found, truth, weight=known)
    overlap = (found * truth).sum()
    return entropy + 1 - (overlap + 1) / ((found + truth).sum() - overlap + 1)
