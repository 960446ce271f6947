"""What a model process says of a frame, before it is believed.

A process that a hostile picture has taken over may lie about the picture, and no more: what passes here can be
published, and is what was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from edge_worker import png
from edge_worker.errors import FrameRejected
from edge_worker.frames import REJECTIONS
from edge_worker.messages import ImageSize, LabelsBody, Timings
from edge_worker.results import EncodedResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_worker.results import OutputRequest

_MAX_DETAIL: Final = 1000  # characters of a rejection's detail: it stands in the log and in the answer


def result_of(header: Mapping[str, Any], blobs: tuple[bytes, ...], request: OutputRequest) -> EncodedResult:
    """The result that a message holds, which answers *request*.

    Raises:
        LookupError, TypeError, ValueError, OverflowError: it holds none.
    """
    result = EncodedResult.from_wire(header, blobs)
    ImageSize(width=result.width, height=result.height)
    Timings.model_validate(result.timings_ms)
    if request.labels:
        LabelsBody.model_validate(result.body)
    if request.colormap in {"palette-png", "rgb-png"}:
        png.read_text(result.colormap or b"")
    _require_no_more_than(request, result)
    return result


def rejection_of(header: Mapping[str, Any]) -> FrameRejected:
    """The error that a message reports of a frame.

    Raises:
        LookupError, ValueError: it reports none.
    """
    reason, detail = str(header["reason"]), str(header["detail"])
    if reason not in REJECTIONS:
        raise ValueError(f"unknown reason {reason!r:.50}")
    return FrameRejected(reason, detail[:_MAX_DETAIL])


def _require_no_more_than(request: OutputRequest, result: EncodedResult) -> None:
    """An overlay may be missing: one that does not fit is left out."""
    made = {"colormap": result.colormap is not None, "labels": bool(result.body)}
    wanted = {"colormap": request.colormap is not None, "labels": request.labels}
    if made != wanted or (result.overlay is not None and not request.overlay):
        raise ValueError(f"not what was asked for: {made}, overlay {result.overlay is not None}")
