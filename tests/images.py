"""Deterministic images and label maps shared by several tests; needs no files."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from edge_worker.imaging.arrays import LabelMap, RgbImage


CIHP = (
    *("Background", "Hat", "Hair", "Glove", "Sunglasses", "UpperClothes", "Dress", "Coat", "Socks", "Pants"),
    *("Torso-skin", "Scarf", "Skirt", "Face", "Left-arm", "Right-arm", "Left-leg", "Right-leg", "Left-shoe"),
    *("Right-shoe", "Human"),
)

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "ccp" / "photos"


def photo(width: int = 90, height: int = 60) -> RgbImage:
    """Draw something with the smoothness and detail of a photograph, RGB uint8."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = [np.sin(x / (7 + 3 * c) + c) + np.cos(y / (5 + 2 * c)) + 0.3 * np.sin(x * y / 97) for c in range(3)]
    return np.asarray(np.clip(np.stack(waves, axis=-1) * 45 + 128, 0, 255), np.uint8)


def figures(width: int = 1280, height: int = 720, count: int = 3) -> LabelMap:
    """Draw *count* standing figures with hair, face, clothes, limbs and shoes: a label map of CIHP's classes."""
    label_map = np.zeros((height, width), np.uint8)
    for index in range(count):
        middle, unit = (2 * index + 1) * width // (2 * count), min(height / 16, width / (6 * count))
        _draw_figure(label_map, middle, height / 16, unit, clothes=(5, 7, 6)[index % 3])
    return label_map


def _draw_figure(label_map: LabelMap, middle: int, row: float, unit: float, clothes: int) -> None:
    def shape(label: int, x: float, y: float, width: float, height: float) -> None:
        center, axes = (round(middle + x * unit), round(y * row)), (round(width * unit), round(height * row))
        cv2.ellipse(label_map, center, axes, 0, 0, 360, label, -1)

    for side, arm, leg, shoe in ((-1, 15, 17, 19), (1, 14, 16, 18)):
        shape(arm, side * 1.6, 6, 0.4, 2.6)
        shape(leg, side * 0.7, 11.5, 0.5, 3)
        shape(shoe, side * 0.8, 14.5, 0.8, 0.5)
    shape(9, 0, 9.5, 1.3, 2.2)
    shape(clothes, 0, 6, 1.5, 2.8)
    shape(2, 0, 2, 1.1, 1.2)
    shape(13, 0, 2.4, 0.7, 0.9)


def encoded(image: RgbImage | Image.Image, kind: str, **options: object) -> bytes:
    """Encode with Pillow, independently of the encoder under test."""
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def with_orientation(value: int) -> bytes:
    """Return an EXIF block with an image's orientation."""
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


@cache
def one_of_each_kind() -> tuple[bytes, ...]:
    """Return valid images of every accepted kind, small enough to be altered in many places."""
    image, rgba = Image.fromarray(photo(48, 32)), Image.fromarray(photo(48, 32)).convert("RGBA")
    rgba.putalpha(Image.linear_gradient("L").resize(rgba.size))
    exif = with_orientation(6)
    return (
        encoded(image, "JPEG"),
        encoded(image, "JPEG", progressive=True, exif=exif),
        encoded(image.convert("CMYK"), "JPEG"),
        encoded(image.convert("L"), "JPEG", restart_marker_rows=1),
        encoded(image, "PNG", exif=exif),
        encoded(rgba, "PNG"),
        encoded(image.quantize(16), "PNG", transparency=2),
        encoded(image.convert("1"), "PNG"),
        encoded(image, "PNG", save_all=True, append_images=[image.rotate(90)]),
        encoded(image, "WEBP", exif=exif),
        encoded(rgba, "WEBP", lossless=True),
        encoded(rgba, "WEBP", save_all=True, append_images=[rgba.rotate(90)]),
        encoded(image, "BMP"),
        encoded(image.quantize(16), "BMP"),
    )
