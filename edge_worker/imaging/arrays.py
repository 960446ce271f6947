"""Type aliases for arrays; the name implies shape and meaning."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RgbImage = npt.NDArray[np.uint8]
"""RGB uint8 H×W×3, in displayed orientation."""

LabelMap = npt.NDArray[np.uint8]
"""Class index of each pixel, uint8 H×W; 0 is background."""
