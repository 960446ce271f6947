"""Augmentation by camera effects (colour, light, blur, noise, compression); of garments. RGB uint8 H×W×3."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from training.labels import Part

Image = npt.NDArray[np.uint8]

_GARMENTS = (Part.HAT, Part.UPPER, Part.DRESS, Part.COAT, Part.SOCKS, Part.PANTS, Part.SCARF, Part.SKIRT)
_GARMENT_SHARE = 0.6  # of the garments in a photo that get another colour


def recolour(rng: np.random.Generator, image: Image) -> Image:
    """Change gamma, contrast, brightness and white balance by one lookup table per channel, then the saturation."""
    levels = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.normal(0, 0.25))
    gain = np.exp(rng.normal(0, 0.18)) * np.exp(rng.normal(0, 0.06, 3))
    table = np.clip((levels * gain + rng.normal(0, 0.04)) * 255, 0, 255).astype(np.uint8)
    out = np.asarray(cv2.LUT(image, table[:, None, :]), dtype=np.uint8)
    return saturate(out, float(np.clip(rng.normal(1.0, 0.3), 0.0, 1.8)))


def recolour_garments(rng: np.random.Generator, image: Image, label_map: Image) -> Image:
    """Give some of the garments in *label_map* (H, W) other colours, each its own; folds and patterns stay.

    There are few photos, and a garment is not what it is by its colour.
    """
    out = image.copy()
    for part in _GARMENTS:
        pixels = image[label_map == part].astype(np.float32)
        if not pixels.size or rng.random() >= _GARMENT_SHARE:
            continue
        mean, colour = pixels.mean(axis=0), rng.uniform(15, 235) + rng.normal(0, 45, 3)
        contrast, share = np.exp(rng.normal(0, 0.3)), rng.uniform(0, 0.8)
        out[label_map == part] = np.clip((pixels - mean) * contrast + mean + share * (colour - mean), 0, 255)
    return out


def saturate(image: Image, amount: float) -> Image:
    """Scale the saturation by *amount*: 0 is grey, above 1 is more saturated."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.addWeighted(image, amount, cv2.merge([grey] * 3), 1 - amount, 0), dtype=np.uint8)


def spoil(rng: np.random.Generator, image: Image) -> Image:
    """Apply each effect with its own probability: light, darkness, blur, low resolution, noise, JPEG."""
    if rng.random() < 0.8:
        image = recolour(rng, image)
    if rng.random() < 0.1:
        image = darken(rng, image)
    if rng.random() < 0.2:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6)), dtype=np.uint8)
    if rng.random() < 0.15:
        image = coarsen(rng, image)
    if rng.random() < 0.25:
        image = add_noise(rng, image)
    if rng.random() < 0.3:
        image = compress(rng, image)
    return image


def darken(rng: np.random.Generator, image: Image) -> Image:
    """Simulate an indoor camera at night: dark and with low contrast."""
    return np.asarray(cv2.convertScaleAbs(image, alpha=rng.uniform(0.25, 0.6), beta=rng.uniform(0, 40)), dtype=np.uint8)


def coarsen(rng: np.random.Generator, image: Image) -> Image:
    """Downscale and upscale again."""
    scale = rng.uniform(0.35, 0.8)
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def add_noise(rng: np.random.Generator, image: Image) -> Image:
    """Add sensor noise."""
    noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(2, 12))
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def compress(rng: np.random.Generator, image: Image) -> Image:
    """Encode as JPEG and decode again."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)


def soften(rng: np.random.Generator, image: Image) -> Image:
    """Blur, usually slightly."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.4 + rng.exponential(0.8)), dtype=np.uint8)


def refocus(rng: np.random.Generator, image: Image, person: npt.NDArray[np.bool_]) -> Image:
    """Move the focus from the person to the background, whose remaining detail is sharpened."""
    blurred = cv2.GaussianBlur(image, (0, 0), 2.0)
    sharpened = cv2.addWeighted(image, 1 + (amount := rng.uniform(0.5, 2.0)), blurred, -amount, 0)
    softened = soften(rng, image)
    return np.where(person[..., None], softened, sharpened).astype(np.uint8)
