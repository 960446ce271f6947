"""Image files: found in folders, and named so that results never overwrite each other."""

from __future__ import annotations

import os
import re
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.inference.outputs import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Suffixes of images in a folder. A file that is given explicitly is tried whatever its suffix.
CONTENT_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jpe": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}

_RESULT = re.compile(rf"(.+)\.(?:{'|'.join(KINDS)})(?:-\d+)?\.(?:png|jpg)")


def find_images(path: Path) -> list[Path]:
    """List the images under the folder *path* sorted by name, without hidden ones; if *path* is a file, just that."""
    if not path.is_dir():
        return [path]
    found = (file for file in path.rglob("*") if file.suffix.lower() in CONTENT_TYPES and file.is_file())
    return sorted(file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts))


def find_all(paths: Sequence[Path], *, results: Path | None = None) -> list[Path]:
    """List the images under all *paths*, each file once.

    If the folder *results* lies below one of them, it is skipped; if it is one of them, files that ``parse`` wrote are.
    """
    found: dict[Path, Path] = {}
    ours = results.resolve() if results else None
    for path in paths:
        below = ours is not None and path.resolve() in ours.parents
        for file in find_images(path):
            written = path.resolve() == ours and _is_result(file)
            if not written and not (below and ours in file.resolve().parents):
                found.setdefault(file.resolve(), file)
    return list(found.values())


def _is_result(file: Path) -> bool:
    """Return whether ``parse`` wrote the image *file*: the labels, which are written last, are beside it."""
    result = _RESULT.fullmatch(file.name)
    return result is not None and file.with_name(f"{result[1]}.labels.json").exists()


def find_all_there(paths: Sequence[Path]) -> list[Path]:
    """Do the same as :func:`find_all` for *paths* that must exist.

    Raises:
        EdgeWorkerError: one is missing.
    """
    for path in paths:
        if not path.exists():
            raise EdgeWorkerError(f"{path}: no such file or folder")
    return find_all(paths)


def distinct_names(files: Sequence[Path]) -> dict[Path, str]:
    """Name the results of each of *files*: its stem, or as much of its path as makes it unique.

    ``x.jpg`` → ``x``; ``x.jpg`` beside ``x.png`` → ``x.jpg`` and ``x.png``; ``a/x.jpg`` and ``b/x.jpg`` → ``a-x.jpg``
    and ``b-x.jpg``. The names do not depend on the order of *files*.
    """
    names: dict[Path, str] = {}
    waiting = list(files)
    depth = 0
    while waiting:
        candidates = {file: _name(file, depth) for file in waiting}
        taken = Counter([*candidates.values(), *names.values()])
        names |= {file: name for file, name in candidates.items() if taken[name] == 1}
        waiting = [file for file in waiting if file not in names]
        depth += 1
    return names


def _name(file: Path, depth: int) -> str:
    """Name *file*: by its stem at *depth* 0, then by more and more of its path, finally by a hash of all of it."""
    parts = file.resolve().parts[1:]
    if depth == 0:
        return file.stem
    if depth <= len(parts):
        return "-".join(parts[-depth:])
    return f"{file.stem}-{sha256(os.fsencode(file.resolve())).hexdigest()[:16]}"
