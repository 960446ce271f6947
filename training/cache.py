"""The data set as arrays on disk: photos and class maps, resized once and memory-mapped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
from rich.progress import track

from training.labels import read_name_table, split
from training.pose import read_poses, split_by_pose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Image = npt.NDArray[np.uint8]

HEIGHT = 640  # px, of a cached photo: the largest size of a whole figure in training
_MARGIN = 13  # px around a person that still show it: hair, shadows
TAGGED_PHOTOS, PSEUDO_LABELS = "unlabelled.bin", "pseudo.bin"
VIDEO_STEP = 20  # every n-th frame of a background video is kept
VALIDATION_FILE = Path(__file__).with_name("validation.txt")
BACKGROUND_VIDEOS = ("car-detection.mp4", "bottle-detection.mp4")


class Pack:
    """Images of different sizes in one flat memory-mapped file, with an index file."""

    def __init__(self, path: Path) -> None:
        """Open a pack written by `write`."""
        index: dict[str, list[Any]] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        self.names = list(index)
        self._places = list(index.values())
        self._bytes = np.memmap(path, dtype=np.uint8, mode="r")

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    def __getitem__(self, i: int) -> Image:
        """Return image i as stored, uint8, read-only."""
        start, shape = self._places[i]
        return np.asarray(self._bytes[start : start + int(np.prod(shape))]).reshape(shape)

    @staticmethod
    def write(path: Path, pictures: Iterable[tuple[str, Image]]) -> None:
        """Write named images one after another; an earlier pack stays until they are complete.

        ValueError if there are none, or two of one name.
        """
        index: dict[str, tuple[int, tuple[int, ...]]] = {}
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            for name, picture in pictures:
                if name in index:
                    raise ValueError(f"{path}: two images named {name}")
                index[name] = (file.tell(), picture.shape)
                file.write(np.ascontiguousarray(picture).tobytes())
        if not index:
            raise ValueError(f"{path}: no images to write")
        path.with_suffix(".json").unlink(missing_ok=True)  # it must never describe another file
        part.replace(path)
        path.with_suffix(".json").write_text(json.dumps(index), encoding="utf-8")


def read_rgb(path: Path) -> Image:
    """Read an image file as RGB uint8 H×W×3."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise FileNotFoundError(path)
    return np.asarray(bgr[..., ::-1], dtype=np.uint8)


def read_values(path: Path) -> Image:
    """Read a label image as uint8 H×W, unconverted."""
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise FileNotFoundError(path)
    return np.asarray(values, dtype=np.uint8)


def resized(image: Image, height: int, interpolation: int) -> Image:
    """Resize to a height, keeping the aspect ratio."""
    width = round(image.shape[1] * height / image.shape[0])
    return np.asarray(cv2.resize(image, (width, height), interpolation=interpolation), dtype=np.uint8)


def video_frames(path: Path, step: int = 1) -> Iterable[tuple[str, Image]]:
    """Yield every `step`-th frame of a video, RGB uint8, named by its number."""
    video = cv2.VideoCapture(str(path))
    for number in range(int(video.get(cv2.CAP_PROP_FRAME_COUNT))):
        if not video.grab():
            break
        if number % step == 0:
            yield f"{path.stem}-{number}", np.asarray(video.retrieve()[1][..., ::-1], dtype=np.uint8)
    video.release()


def build(data: Path, cache: Path) -> None:
    """Fill the cache from the data set's folder; existing packs are kept."""
    cache.mkdir(parents=True, exist_ok=True)
    photos = sorted((data / "ccp/photos").glob("*.jpg"))
    _once(cache / "classes.bin", lambda: _class_maps(data, photos))
    labelled = [data / f"ccp/photos/{name}.jpg" for name in Pack(cache / "classes.bin").names]
    _once(cache / "photos.bin", lambda: ((p.stem, _small(p)) for p in track(labelled, "photos")))
    _once(cache / "streets.bin", lambda: track(_streets(cache), "backgrounds", total=len(labelled)))
    videos = [data / "video" / name for name in BACKGROUND_VIDEOS]
    _once(cache / "frames.bin", lambda: (frame for video in videos for frame in video_frames(video, VIDEO_STEP)))


def build_tagged(data: Path, cache: Path) -> None:
    """Add the photos that only have tags to the cache, for `training.pseudo`."""
    photos = sorted((data / "ccp/unlabelled").glob("*.jpg"))
    _once(cache / TAGGED_PHOTOS, lambda: ((p.stem, _small(p)) for p in track(photos, "tagged photos")))


def _once(path: Path, pictures: Callable[[], Iterable[tuple[str, Image]]]) -> None:
    """Write a pack unless it exists; the index is written last."""
    if not path.with_suffix(".json").exists():
        Pack.write(path, pictures())


def _class_maps(data: Path, photos: list[Path]) -> Iterator[tuple[str, Image]]:
    """Yield the class maps; skip those without a person, because the photo does show one."""
    table = read_name_table(data / "ccp/label_names.json")
    poses = read_poses(data / "pose_ccp/photos.npz")
    for photo in track(photos, "labels"):
        classes = _class_map(data / f"ccp/labels/{photo.stem}.png", table, poses[photo.stem])
        if classes.any():
            yield photo.stem, classes


def _small(path: Path) -> Image:
    return resized(read_rgb(path), HEIGHT, cv2.INTER_AREA)


def _class_map(path: Path, table: Image, pose: npt.NDArray[np.float64]) -> Image:
    label_map = table[read_values(path)]
    return resized(split_by_pose(label_map, split(label_map), pose), HEIGHT, cv2.INTER_NEAREST)


def _streets(cache: Path) -> Iterator[tuple[str, Image]]:
    photos, maps = Pack(cache / "photos.bin"), Pack(cache / "classes.bin")
    for i, name in enumerate(photos.names):
        yield name, without_person(photos[i], maps[i])


def without_person(image: Image, label_map: Image) -> Image:
    """Remove the person: return the wider side, mirrored repeatedly, or else the photo with the person inpainted."""
    columns = np.flatnonzero((label_map > 0).any(axis=0))
    left, right = max(0, columns[0] - _MARGIN), min(image.shape[1], columns[-1] + 1 + _MARGIN)
    if max(left, image.shape[1] - right) > 0.3 * image.shape[1]:
        strip = image[:, :left] if left > image.shape[1] - right else image[:, right:]
        return np.ascontiguousarray(np.concatenate([strip[:, ::-1], strip, strip[:, ::-1]], axis=1))
    hole = cv2.dilate((label_map > 0).astype(np.uint8), np.ones((2 * _MARGIN + 1,) * 2, np.uint8))
    small = cv2.resize(image, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    small_hole = cv2.resize(hole, small.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    painted = cv2.resize(cv2.inpaint(small, small_hole, 3, cv2.INPAINT_TELEA), image.shape[1::-1])
    return np.where(hole[..., None] > 0, painted, image).astype(np.uint8)


def validation_names() -> frozenset[str]:
    """Return the names of the 100 labelled photos held out for validation."""
    return frozenset(VALIDATION_FILE.read_text(encoding="utf-8").split())
