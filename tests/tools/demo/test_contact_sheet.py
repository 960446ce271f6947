from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_worker.tools.demo.contact_sheet import COLUMN, GAP, TALLEST, contact_sheet


def encoded(width: int, height: int, grey: int) -> bytes:
    """A grey image."""
    return cv2.imencode(".png", np.full((height, width, 3), grey, np.uint8))[1].tobytes()


def test_frame_map_and_overlay_stand_side_by_side() -> None:
    """Three columns per row, in this order, rows below each other."""
    row = (encoded(64, 32, 50), encoded(64, 32, 100), encoded(64, 32, 150))
    sheet = np.asarray(cv2.imdecode(np.frombuffer(contact_sheet([row, row]), np.uint8), cv2.IMREAD_COLOR))
    assert sheet.shape == (COLUMN // 2 * 2 + GAP, 3 * COLUMN + 2 * GAP, 3)
    middle = [COLUMN // 2 + index * (COLUMN + GAP) for index in range(3)]
    assert sheet[COLUMN // 4, middle, 0].tolist() == [50, 100, 150]
    assert sheet[-COLUMN // 4, middle, 0].tolist() == [50, 100, 150]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (8000, 2), (2, 8000), (300, 900)])
def test_any_size_fits(width: int, height: int) -> None:
    """Slim and tiny images keep their proportions within a column."""
    row = (encoded(width, height, 50), encoded(width, height, 100), encoded(width, height, 150))
    sheet = np.asarray(cv2.imdecode(np.frombuffer(contact_sheet([row]), np.uint8), cv2.IMREAD_COLOR))
    assert sheet.shape[1] == 3 * COLUMN + 2 * GAP
    assert sheet.shape[0] <= TALLEST
    assert {50, 100, 150} <= set(np.unique(sheet).tolist())
