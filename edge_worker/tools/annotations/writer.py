"""Shared by all formats: the writer interface, and JSON arrays that grow on disk."""

from __future__ import annotations

import json
import shutil
import tempfile
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from edge_worker.common.errors import EdgeWorkerError

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.tools.annotations.results import ParsedImage

SUBSET: Final = "default"
"""Name of the only subset, for formats that require one."""


class Writer(Protocol):
    """Writes one format into a folder; nothing of an image stays in memory."""

    def __init__(self, folder: Path) -> None:
        """Write into *folder*, which exists."""

    def add(self, image: ParsedImage) -> None:
        """Add an image."""

    def close(self) -> None:
        """Finish; the files are complete now."""


class Classes:
    """Name and colour of each class seen so far, by id."""

    def __init__(self) -> None:
        """Start without any."""
        self._by_id: dict[int, tuple[str, str]] = {}

    def add(self, image: ParsedImage) -> None:
        """Add the classes of *image*.

        Raises:
            EdgeWorkerError: an id has another name than before: the folder has results of two models.
        """
        for segment in image.segments:
            name, _ = self._by_id.setdefault(segment.class_id, (segment.name, segment.color))
            if name != segment.name:
                raise EdgeWorkerError(
                    f"class {segment.class_id} is {name} in some results and {segment.name} in others:"
                    " of two models? Export them from folders of their own"
                )

    def items(self) -> list[tuple[int, str, str]]:
        """Return id, name and colour (``#rrggbb``) of each, sorted by id."""
        return [(index, *self._by_id[index]) for index in sorted(self._by_id)]


class JsonArray:
    """A JSON array that grows in a temporary file."""

    def __init__(self) -> None:
        """Create an empty array."""
        self._file: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed by write_to
        self._separator = ""
        self.length = 0

    def append(self, value: object) -> None:
        """Add *value*."""
        self._file.write(self._separator + json.dumps(value, ensure_ascii=False, separators=(",", ":")))
        self._separator = ",\n"
        self.length += 1

    def write_to(self, out: IO[str]) -> None:
        """Write the array to *out* and delete it."""
        out.write("[")
        self._file.seek(0)
        with self._file:
            shutil.copyfileobj(self._file, out)
        out.write("]")


def write_json(file: Path, values: dict[str, Any]) -> None:
    """Write an object whose values are JSON or :class:`JsonArray`; *file* appears once it is complete."""
    draft = file.with_name(file.name + ".part")
    with draft.open("w", encoding="utf-8") as out:
        for separator, (key, value) in zip(["{", *[","] * len(values)], values.items(), strict=False):
            out.write(f"{separator}{json.dumps(key)}:")
            if isinstance(value, JsonArray):
                value.write_to(out)
            else:
                json.dump(value, out, ensure_ascii=False)
        out.write("}\n")
    draft.replace(file)
