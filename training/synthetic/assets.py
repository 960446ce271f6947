"""The pack of bodies, clothes, furniture and textures; verified against `manifest.json` before anything is read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

MANIFEST = Path(__file__).with_name("manifest.json")
PACK = Path("../shared/tools/synthetic/pack")

Image = npt.NDArray[np.uint8]
Arrays = dict[str, npt.NDArray[Any]]


class PackError(Exception):
    """The pack is missing, incomplete or altered."""


class Entry(NamedTuple):
    """A file of the pack: SHA-256 of its content, source, and licence."""

    sha256: str
    source: str
    licence: str


def read_manifest(file: Path = MANIFEST) -> dict[str, Entry]:
    """Return the entries by file name, relative to the pack's folder."""
    content = json.loads(file.read_text(encoding="utf-8"))
    sources = content["sources"]
    return {
        name: Entry(sha256, sources[source]["source"], sources[source]["licence"])
        for source, files in content["files"].items()
        for name, sha256 in files.items()
    }


class Pack:
    """The files of a folder that matches the manifest."""

    def __init__(self, folder: Path = PACK, manifest: dict[str, Entry] | None = None) -> None:
        """Verify every file.

        Raises:
            PackError: a file is missing or differs from the manifest.
        """
        self._folder = folder
        self._entries = read_manifest() if manifest is None else manifest
        for name, entry in self._entries.items():
            _check(folder / name, entry)

    def names(self, prefix: str) -> list[str]:
        """Return the names of the images that start with *prefix*, without suffix, sorted."""
        return sorted(Path(name).stem for name in self._entries if name.startswith(prefix) and name.endswith(".webp"))

    def image(self, name: str) -> Image:
        """Read an image, BGR or BGRA, uint8; stored losslessly (as PNG if transparent pixels have colours)."""
        file = next(f"{name}{suffix}" for suffix in (".webp", ".png") if f"{name}{suffix}" in self._entries)
        return np.asarray(cv2.imread(str(self._folder / file), cv2.IMREAD_UNCHANGED), dtype=np.uint8)

    def arrays(self, name: str) -> Arrays:
        """Read the arrays of an NPZ file."""
        with np.load(self._folder / f"{name}.npz") as file:
            return {key: file[key] for key in file.files}

    def json(self, name: str) -> Any:  # noqa: ANN401  whatever the file holds
        """Read a JSON file."""
        return json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))

    def texts(self, folder: str, suffix: str) -> dict[str, str]:
        """Read the text files of a folder by stem, sorted."""
        names = sorted(name for name in self._entries if name.startswith(f"{folder}/") and name.endswith(suffix))
        return {Path(name).stem: (self._folder / name).read_text(encoding="utf-8") for name in names}


def _check(file: Path, entry: Entry) -> None:
    if not file.is_file():
        raise PackError(f"{file}: missing; give the folder of the asset pack with --pack")
    if hashlib.sha256(file.read_bytes()).hexdigest() != entry.sha256:
        raise PackError(f"{file}: not the file of {MANIFEST.name} (SHA-256 differs); fetch the pack anew")
