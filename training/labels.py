"""Clothing Co-Parsing names mapped to CIHP's classes; skin and shoes split into parts and sides by geometry.

Lengths are in heads: a standing person is about 7.5 heads tall, so one head is the labelled height divided by 7.5.
What geometry cannot decide keeps its known label: SKIN or SHOE without part or side (see ALLOWED).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pathlib import Path

LabelMap = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


class Part(IntEnum):
    """CIHP's classes in index order; the person class 20 is the union of all parts and has no pixels of its own."""

    BACKGROUND = 0
    HAT = 1
    HAIR = 2
    GLOVE = 3
    SUNGLASSES = 4
    UPPER = 5
    DRESS = 6
    COAT = 7
    SOCKS = 8
    PANTS = 9
    TORSO = 10
    SCARF = 11
    SKIRT = 12
    FACE = 13
    LEFT_ARM = 14
    RIGHT_ARM = 15
    LEFT_LEG = 16
    RIGHT_LEG = 17
    LEFT_SHOE = 18
    RIGHT_SHOE = 19


PARTS = len(Part)
SKIN = 30  # skin, part or side unknown
SHOE = 31  # a shoe, side unknown
PERSON_OTHER = 32  # on the person; belt or accessories, no CIHP class, or undecided in a pseudo-label
IGNORED = 255

SKIN_PARTS = (Part.TORSO, Part.FACE, Part.LEFT_ARM, Part.RIGHT_ARM, Part.LEFT_LEG, Part.RIGHT_LEG)
SHOE_PARTS = (Part.LEFT_SHOE, Part.RIGHT_SHOE)
MIRRORED = (
    (Part.LEFT_ARM, Part.RIGHT_ARM),
    (Part.LEFT_LEG, Part.RIGHT_LEG),
    (Part.LEFT_SHOE, Part.RIGHT_SHOE),
)

NAMES: dict[int, str] = {
    Part.BACKGROUND: "null bag purse wallet",
    Part.HAT: "hat",
    Part.HAIR: "hair",
    Part.GLOVE: "gloves",
    Part.SUNGLASSES: "sunglasses glasses",
    Part.UPPER: "blouse bodysuit bra hoodie intimate jumper shirt sweater sweatshirt swimwear t-shirt tie top vest",
    Part.DRESS: "dress romper",
    Part.COAT: "blazer cape cardigan coat jacket suit",
    Part.SOCKS: "socks stockings tights",
    Part.PANTS: "jeans leggings panties pants shorts",
    Part.SCARF: "scarf",
    Part.SKIRT: "skirt",
    SKIN: "skin bracelet ring watch necklace earrings",
    SHOE: "boots clogs flats heels loafers pumps sandals shoes sneakers wedges",
    PERSON_OTHER: "belt accessories",
}
"""Names of the data set by class; jewellery is worn on skin and counts as skin."""

HEADS_TALL = 7.5  # body height in heads of a standing adult (drawing canon; including hair and heels)


def allowed_parts() -> npt.NDArray[np.bool_]:
    """Return which classes each pixel value may stand for: bool (256, 20). IGNORED and unused values: any class."""
    table = np.ones((256, PARTS), dtype=bool)
    table[:PARTS] = np.eye(PARTS, dtype=bool)
    for value, parts in ((SKIN, SKIN_PARTS), (SHOE, SHOE_PARTS)):
        table[value] = False
        table[value, list(parts)] = True
    table[PERSON_OTHER, Part.BACKGROUND] = False
    return table


def expand_values(found: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which classes the pixel values in *found*, bool (256,), may stand for: bool (20,)."""
    known = found.copy()
    known[PARTS:SKIN] = known[PERSON_OTHER:] = False
    return np.asarray((allowed_parts() & known[:, None]).any(axis=0))


def mirror_table() -> npt.NDArray[np.uint8]:
    """Return a lookup table, uint8 (256,), that swaps left and right classes, for mirrored images."""
    table = np.arange(256, dtype=np.uint8)
    for left, right in MIRRORED:
        table[left], table[right] = right, left
    return table


def name_table(label_names: list[str]) -> npt.NDArray[np.uint8]:
    """Return a lookup table, uint8 (256,), from the data set's indices to classes; KeyError for an unmapped name."""
    by_name = {name: value for value, names in NAMES.items() for name in names.split()}
    table = np.full(256, IGNORED, dtype=np.uint8)
    for index, name in enumerate(label_names):
        table[index] = by_name[name]
    return table


def read_name_table(path: Path) -> npt.NDArray[np.uint8]:
    """Return the `name_table` of a `label_names.json`."""
    return name_table(json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Figure:
    """Position of the body in pixels: top of the head, middle of the head and of the shoulders, length of a head."""

    top: float
    head_x: float
    body_x: float
    head: float
    frontal: bool

    def row(self, heads: float) -> int:
        """Return the image row `heads` head lengths below the top of the head."""
        return int(self.top + heads * self.head)


def split(label_map: LabelMap) -> LabelMap:
    """Replace SKIN and SHOE by parts and sides where geometry decides; uint8 H×W in and out, one person per map."""
    figure = measure(label_map)
    if figure is None:
        return label_map
    out = label_map.copy()
    skin = label_map == SKIN
    face = find_face(label_map, figure)
    out[face] = Part.FACE
    for component in components(skin & ~face):
        _split_component(out, component, label_map, figure)
    _blur_border(out, face, skin, figure)
    _split_shoes(out, label_map, figure)
    return out


def measure(label_map: LabelMap) -> Figure | None:
    """Return the body's scale and axis; None without a visible head, or if the image's lower edge cuts the figure."""
    person = (label_map != Part.BACKGROUND) & (label_map != IGNORED)
    rows = np.flatnonzero(person.any(axis=1))
    if rows.size == 0:
        return None
    head = (rows[-1] - rows[0] + 1) / HEADS_TALL
    columns = np.flatnonzero(person.any(axis=0))
    top_zone = np.zeros_like(person)
    top_zone[rows[0] : rows[0] + int(1.2 * head)] = True
    skull = top_zone & np.isin(label_map, (Part.HAIR, Part.HAT, Part.SUNGLASSES, SKIN))
    whole = _ends_in_feet(label_map, rows[-1], head) or rows.size > 2.2 * columns.size
    if np.count_nonzero(skull) < (0.2 * head) ** 2 or not whole:
        return None
    head_x = float(np.median(np.nonzero(top_zone & person)[1]))
    chest = person[rows[0] + int(1.5 * head) : rows[0] + int(3.0 * head)]
    body_x = float(np.median(np.nonzero(chest)[1])) if chest.any() else head_x
    visible_face = np.count_nonzero(top_zone & (label_map == SKIN))
    return Figure(float(rows[0]), head_x, body_x, float(head), visible_face > 0.08 * head * head)


def _ends_in_feet(label_map: LabelMap, bottom: int, head: float) -> bool:
    lowest = label_map[max(0, bottom - int(0.5 * head)) : bottom + 1]
    return bool(np.count_nonzero(lowest == SHOE) > 0.05 * head * head)


def find_face(label_map: LabelMap, figure: Figure) -> Mask:
    """Return the skin around the middle of the head and above the chin."""
    head = (np.abs(np.arange(label_map.shape[1]) - figure.head_x) < 0.6 * figure.head)[None, :]
    chin = chin_row(np.isin(label_map, (SKIN, Part.SUNGLASSES)) & head, figure)
    above = (np.arange(label_map.shape[0]) < chin)[:, None]
    return np.asarray((label_map == SKIN) & head & above)


def chin_row(skin: Mask, figure: Figure) -> int:
    """Return the row where the face narrows to the neck; 1.05 heads below the top if it does not narrow."""
    widths = skin.sum(axis=1).astype(np.float32)
    first, last = figure.row(0.8), figure.row(1.4)
    widest = float(widths[figure.row(0.2) : figure.row(1.0)].max(initial=0.0))
    narrow = np.flatnonzero(widths[first:last] < 0.72 * widest)
    return first + int(narrow[0]) if widest > 0 and narrow.size else figure.row(1.05)


def components(mask: Mask) -> list[Mask]:
    """Return the 8-connected components of a mask, without those under 12 pixels."""
    count, index, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return [index == i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= 12]


def _split_component(out: LabelMap, component: Mask, label_map: LabelMap, figure: Figure) -> None:
    """Label a piece of skin: torso or arms above the reach of the hands, legs below, undecided if it spans both."""
    rows = np.flatnonzero(component.any(axis=1))
    below = np.arange(component.shape[0])[:, None]
    if rows[-1] > figure.row(5.2):
        start = figure.row(4.6) if rows[0] < figure.row(3.6) else 0
        _split_legs(out, component & (below >= start), label_map, figure)
        component = component & (below < figure.row(3.6)) if start else np.zeros_like(component)
    elif rows[0] > figure.row(4.5):
        _split_legs(out, component, label_map, figure)
        return
    if component.any():
        _split_upper_body(out, component, label_map, figure)


def _split_upper_body(out: LabelMap, component: Mask, label_map: LabelMap, figure: Figure) -> None:
    rows, columns = np.nonzero(component)
    sideways = np.abs(columns.mean() - figure.body_x) / figure.head
    width = (columns.max() - columns.min() + 1) / figure.head
    height = (rows.max() - rows.min() + 1) / figure.head
    starts_at_neck = rows.min() < figure.row(1.9) and np.abs(columns - figure.head_x).min() < 0.3 * figure.head
    if starts_at_neck:
        _split_shoulders(out, component, figure)
    elif _is_midriff(component, label_map) and sideways < 0.4 and width > 0.7 and width > 1.5 * height:
        out[component] = Part.TORSO
    elif sideways > 0.3 and figure.frontal:
        out[component] = Part.RIGHT_ARM if columns.mean() < figure.body_x else Part.LEFT_ARM


def _is_midriff(component: Mask, label_map: LabelMap) -> bool:
    """Return whether the piece is directly above clothes of the lower body."""
    grown = cv2.dilate(component.astype(np.uint8), np.ones((7, 1), np.uint8), anchor=(0, 6)).astype(bool)
    return bool(np.isin(label_map[grown & ~component], (Part.PANTS, Part.SKIRT)).mean() > 0.3)


def _split_shoulders(out: LabelMap, component: Mask, figure: Figure) -> None:
    """Split bare shoulders: neck and chest in the middle, arms outside, an undecided band between them."""
    rows, columns = np.nonzero(component)
    offset = (columns - figure.body_x) / figure.head
    depth = (rows - figure.top) / figure.head
    chest = (np.abs(offset) < 0.55) & (depth < 2.4)
    arm = (np.abs(offset) > 0.8) & (depth > 1.4) & figure.frontal
    neck = (depth < 1.6) & (np.abs(columns - figure.head_x) < 0.6 * figure.head)
    values = np.full(rows.shape, SKIN, dtype=np.uint8)
    values[arm & (offset < 0)] = Part.RIGHT_ARM
    values[arm & (offset > 0)] = Part.LEFT_ARM
    values[chest | neck] = Part.TORSO
    out[rows, columns] = values


def _split_legs(out: LabelMap, legs: Mask, label_map: LabelMap, figure: Figure) -> None:
    """Label left and right by the gap between the legs; undecided without a gap or if the legs cross."""
    whole = np.isin(label_map, (SHOE, Part.SOCKS, SKIN)) & (np.arange(out.shape[0]) > figure.row(4.2))[:, None]
    midline = leg_midline(whole)
    if midline is None or not figure.frontal:
        return
    rows, columns = np.nonzero(legs)
    offset = (columns - midline[rows]) / figure.head
    values = np.full(rows.shape, SKIN, dtype=np.uint8)
    values[offset < -0.05] = Part.RIGHT_LEG
    values[offset > 0.05] = Part.LEFT_LEG
    out[rows, columns] = values


def leg_midline(legs: Mask) -> npt.NDArray[np.float64] | None:
    """Return the column of the gap between two legs for every row (H,), a line fitted to the rows with one gap.

    None if fewer than a third of the legs' rows have a gap, or a gap closes and opens again (crossed legs).
    """
    edges = np.diff(np.pad(legs, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    runs = (edges == 1).sum(axis=1)
    rows = np.flatnonzero(runs > 0)
    two = np.flatnonzero(runs == 2)
    if two.size < 10 or two.size < rows.size / 3:
        return None
    closed = runs[two[0] : two[-1]] == 1
    if closed.sum() > 0.15 * closed.size:
        return None
    gap = np.array([(np.flatnonzero(edges[r] == -1)[0] + np.flatnonzero(edges[r] == 1)[1]) / 2 for r in two])
    slope, offset = np.polyfit(two, gap, 1)
    return np.asarray(slope * np.arange(legs.shape[0]) + offset)


def _split_shoes(out: LabelMap, label_map: LabelMap, figure: Figure) -> None:
    """Label two separate shoes by their order; a single piece, feet in line or crossed legs stay SHOE."""
    pieces = sorted(components(label_map == SHOE), key=lambda piece: -int(piece.sum()))[:2]
    if len(pieces) < 2 or pieces[1].sum() < 0.25 * pieces[0].sum() or not figure.frontal:
        return
    first, second = sorted(pieces, key=lambda piece: float(np.nonzero(piece)[1].mean()))
    apart = float(np.nonzero(second)[1].mean() - np.nonzero(first)[1].mean())
    if apart > 0.3 * figure.head and narrowest(label_map, figure) > 0.6 * apart:
        out[first] = Part.RIGHT_SHOE
        out[second] = Part.LEFT_SHOE


def narrowest(label_map: LabelMap, figure: Figure) -> int:
    """Return the minimum width of both shins together: if legs cross, it is far less than the distance of the feet."""
    lower = label_map[figure.row(5.2) : figure.row(6.4)]
    shins = np.isin(lower, (SKIN, SHOE, Part.SOCKS, Part.PANTS, Part.SKIRT, Part.DRESS, Part.COAT))
    rows = shins[shins.any(axis=1)]
    extent = rows.shape[1] - np.argmax(rows, axis=1) - np.argmax(rows[:, ::-1], axis=1)
    return int(extent.min(initial=rows.shape[1]))


def _blur_border(out: LabelMap, face: Mask, skin: Mask, figure: Figure) -> None:
    """Set skin within 0.05 heads of the chin to undecided: the chin's exact row is a guess."""
    size = 2 * max(1, int(0.05 * figure.head)) + 1
    kernel = np.ones((size, size), np.uint8)
    near = cv2.dilate(face.astype(np.uint8), kernel).astype(bool) & cv2.dilate(
        (skin & (out == Part.TORSO)).astype(np.uint8), kernel
    ).astype(bool)
    out[near & skin] = SKIN
