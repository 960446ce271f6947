"""Directories of persistent data: quarantine (state) and compiled networks (cache)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = "edge-worker"

NO_HOME: Final = (
    "StateDirectory= and CacheDirectory= of the unit, XDG_STATE_HOME and XDG_CACHE_HOME, or HOME: none is set"
)
"""Explanation if both functions return None."""


def state_directory(environ: Mapping[str, str], node: str = "") -> Path | None:
    """Return ``$STATE_DIRECTORY`` of systemd, otherwise the user's (XDG); None if there is neither.

    In the user's, each *node* (worker) has a subdirectory: systemd has a directory per unit, a user one for all.
    """
    directory = _directory(environ, "STATE_DIRECTORY", "XDG_STATE_HOME", ".local/state")
    if directory is None or environ.get("STATE_DIRECTORY") or not node:
        return directory
    return directory / (f"_{node}" if node.startswith(".") else node)  # ".." is a name, too


def cache_directory(environ: Mapping[str, str]) -> Path | None:
    """Return ``$CACHE_DIRECTORY`` of systemd, otherwise the user's (XDG); None if there is neither."""
    return _directory(environ, "CACHE_DIRECTORY", "XDG_CACHE_HOME", ".cache")


def _directory(environ: Mapping[str, str], systemd: str, xdg: str, below_home: str) -> Path | None:
    if given := environ.get(systemd):
        return Path(given.split(":")[0])  # systemd lists all directories of a unit
    if base := environ.get(xdg):
        return Path(base) / _NAME
    home = environ.get("HOME")
    return Path(home) / below_home / _NAME if home else None
