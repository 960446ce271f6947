"""Conversion of a parsed frame to those values of the labels message that depend on the image alone.

``docs/schema/labels.schema.json`` describes them; :class:`edge_worker.messages.LabelsBody` checks them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_worker.imaging.rle import rle

if TYPE_CHECKING:
    from edge_worker.imaging.palette import Palette
    from edge_worker.inference.types import OutputRequest
    from edge_worker.m2fp.postprocess.persons import Label, Part, Person, Summary
    from edge_worker.m2fp.types import Instance, Parsing

_SCORE_DIGITS = 4
_FRACTION_DIGITS = 6  # one pixel of a megapixel


def labels_body(parsing: Parsing, summary: Summary, palette: Palette, request: OutputRequest) -> dict[str, Any]:
    """Return JSON values: image, labels, persons, unassigned and, if requested, raw instances."""
    masks = request.masks == "rle"
    body = {
        "image": {"width": parsing.image_size.width, "height": parsing.image_size.height},
        "labels": [_label(label, palette) for label in summary.labels],
        "persons": [_person(person, masks=masks) for person in summary.persons],
        "unassigned": [{"id": one.class_id, "name": one.name, "pixels": one.pixels} for one in summary.unassigned],
    }
    if request.instances == "raw":
        body["instances"] = _instances(parsing, masks=masks)
    return body


def _label(label: Label, palette: Palette) -> dict[str, Any]:
    return {
        "id": label.class_id,
        "name": label.name,
        "color": palette.hex(label.class_id),
        "pixels": label.pixels,
        "fraction": _portion(label.fraction, _FRACTION_DIGITS),
        "score": _portion(label.score, _SCORE_DIGITS),
        "box": list(label.box),
    }


def _person(person: Person, *, masks: bool) -> dict[str, Any]:
    return {
        "id": person.number,
        **_place(person, masks=masks),
        "parts": [_instance(part, masks=masks) for part in person.parts],
    }


def _instances(parsing: Parsing, *, masks: bool) -> list[dict[str, Any]]:
    """Return the model's candidates, except those with an empty mask."""
    kinds = (("part", parsing.parts), ("person", parsing.persons))
    return [{"kind": kind, **_instance(one, masks=masks)} for kind, group in kinds for one in group if one.pixels]


def _instance(instance: Instance | Part, *, masks: bool) -> dict[str, Any]:
    return {
        "id": instance.class_id,
        "name": instance.label,
        **_place(instance, masks=masks),
    }


def _place(one: Instance | Part | Person, *, masks: bool) -> dict[str, Any]:
    place = {"score": _portion(one.score, _SCORE_DIGITS), "box": list(one.box), "pixels": one.pixels}
    return {**place, "rle": rle(one.region)} if masks else place


def _portion(value: float, digits: int) -> float:
    """Round *value* and clamp it to 0–1; NaN becomes 0."""
    return round(min(1.0, max(0.0, float(value))), digits)
