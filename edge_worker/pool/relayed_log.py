"""Log lines of a model process in the worker's log, which has one format and one stream."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LINES: Final = 100
"""From one process. It may be compromised, and must not fill the log."""

_MAX_TEXT: Final = 1000  # characters
_LOGGER: Final = "edge_worker."  # what their names begin with
_LEVELS: Final = {
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


class RelayedLog:
    """Lines of one model process."""

    def __init__(self) -> None:
        """Begin with the first line."""
        self._left = MAX_LINES

    def write(self, header: Mapping[str, Any]) -> None:
        """Log the line in a message; beyond :data:`MAX_LINES` nothing.

        Raises:
            LookupError, ValueError: there is none.
        """
        level, logger, text = _LEVELS[str(header["level"])], str(header["logger"])[:_MAX_TEXT], str(header["event"])
        if not logger.startswith(_LOGGER):
            raise ValueError(f"unknown logger {logger!r:.50}")
        if self._left:
            self._left -= 1
            logging.getLogger(logger).log(level, "%s", text[:_MAX_TEXT])
