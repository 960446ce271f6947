"""Writes results to files, with safe names whatever the messages contain."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

from edge_worker.imaging import png

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.tools.joiner import FrameResult

# Characters that are replaced in file names; a hash keeps the names distinct.
UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
MAX_NAME = 48


class Recorder:
    """Saves results as NUMBER.CAMERA.FRAME.KIND in one folder, numbered in order of arrival."""

    def __init__(self, folder: Path) -> None:
        """Save into *folder*, which is created if missing."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._number = folder, 0

    def save(self, result: FrameResult) -> list[Path]:
        """Write the labels as received, and the images; returns the files."""
        self._number += 1
        stem = f"{self._number:06d}.{safe_name(result.labels.camera)}.{safe_name(result.labels.frame_id)}"
        contents = {f"{safe_name(kind)}{_ending(image)}": image for kind, image in result.images.items()}
        contents["labels.json"] = result.json
        files = {self._folder / f"{stem}.{name}": content for name, content in contents.items()}
        for file, content in files.items():
            file.write_bytes(content)
        return list(files)


def safe_name(text: str) -> str:
    """Return untrusted *text* as part of a file name: without separators and dots, and not too long."""
    safe = UNSAFE.sub("_", text)[:MAX_NAME]
    return safe if safe and safe == text else f"{safe}-{sha256(text.encode(errors='surrogatepass')).hexdigest()[:8]}"


def _ending(image: bytes) -> str:
    return ".png" if image.startswith(png.SIGNATURE) else ".jpg"
