"""``edge-worker export`` and ``parse --format``: results of ``parse`` in the format of a labelling tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_worker.common.errors import EdgeWorkerError
from edge_worker.tools.annotations.coco import Coco, CocoPanoptic
from edge_worker.tools.annotations.cvat import Cvat
from edge_worker.tools.annotations.label_studio import LabelStudio
from edge_worker.tools.annotations.mask_png import MaskPng
from edge_worker.tools.annotations.results import Results
from edge_worker.tools.annotations.yolo import YoloSeg
from edge_worker.tools.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_worker.tools.annotations.writer import Writer

WRITERS: Final[Mapping[str, type[Writer]]] = {
    "coco": Coco,
    "coco-panoptic": CocoPanoptic,
    "label-studio": LabelStudio,
    "cvat": Cvat,
    "yolo-seg": YoloSeg,
    "mask-png": MaskPng,
}
"""Writers by their names in :data:`edge_worker.common.formats.ANNOTATION_FORMATS`."""


def run(folder: Path, form: str, out: Path) -> int:
    """Export all results in *folder* to the folder *out* in the format *form*; print a line for each failure.

    Returns the exit code: 1 if any failed.

    Raises:
        EdgeWorkerError: there are no results.
        OSError: the folder cannot be written to.
    """
    results = Results(folder)
    out.mkdir(parents=True, exist_ok=True)
    writer = WRITERS[form](out)
    progress, count, failed = Progress(), len(results.files), 0
    for file in progress.count(results.files, count, "exporting"):
        try:
            writer.add(results.read(file))
        except EdgeWorkerError as error:
            failed += 1
            progress.note(str(error))
    writer.close()
    progress.note(f"{count - failed} of {count} exported to {out}" + (f"; {failed} failed" if failed else ""))
    return 1 if failed else 0
