"""Shared input of the measurements: the model, the data folders, and the contact sheet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_worker.m2fp.postprocess.persons import summarize

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.m2fp.parser import Parser
    from edge_worker.m2fp.postprocess.persons import Person
    from edge_worker.m2fp.types import Parsing
    from training.sheet import Sheet

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Figures = dict[str, float]

SCORE = 0.5  # minimum score of a found person


@dataclass(frozen=True)
class Context:
    """A model to be measured.

    Attributes:
        parser: the model, as the worker runs it.
        data: the shared data folder.
        rendered: the folder of rendered scenes; those of it that are kept aside are measured.
        cache: the folder filled by `training.cache`; its `fetched` has the downloaded sets.
        sheet: collects images.
    """

    parser: Parser
    data: Path
    rendered: Path
    cache: Path
    sheet: Sheet

    def persons(self, parsing: Parsing, score: float = SCORE) -> list[Person]:
        """Return the found persons, best first."""
        return list(summarize(parsing, score_threshold=score).persons)
