"""Announced devices, kept over restarts, so that a later run can remove those that it no longer shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog
from pydantic import BaseModel, ConfigDict

from edge_worker.common import log_events
from edge_worker.common.sealed import SealedFile

if TYPE_CHECKING:
    from pathlib import Path

_FILE: Final = "home-assistant.json"
_SCHEMA: Final = "edge-worker.home-assistant/1"

_log = structlog.get_logger(__name__)


class Announced(BaseModel):
    """An announced device: its camera (None: the worker's own) and the platforms of its components."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    camera: str | None
    platforms: dict[str, str]


@dataclass(slots=True)
class Memory:
    """The announced devices, by discovery topic; a file that cannot be used causes only a warning."""

    file: Path | None = None
    devices: dict[str, Announced] = field(default_factory=dict)

    @classmethod
    def load(cls, state_directory: Path | None) -> Memory:
        """Load what an earlier run left in *state_directory*; None: nothing is kept."""
        if state_directory is None:
            return cls()
        file = state_directory / _FILE
        found = _sealed(file).read()
        if found.problem:
            _log.warning(log_events.HOME_ASSISTANT_MEMORY, file=str(file), problem=found.problem)
        return cls(file, dict(found.entries))

    def save(self) -> None:
        """Write the devices to the file."""
        if self.file is None:
            return
        try:
            _sealed(self.file).write({topic: device.model_dump() for topic, device in self.devices.items()})
        except OSError as error:
            _log.warning(log_events.HOME_ASSISTANT_MEMORY, file=str(self.file), problem=str(error))


def _sealed(file: Path) -> SealedFile[Announced]:
    return SealedFile(file, _SCHEMA, "devices", Announced.model_validate)
