"""What was announced, kept over restarts: a later run can take back what its configuration no longer shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from edge_worker.common import log_events
from edge_worker.common.files import content_of, write_whole

if TYPE_CHECKING:
    from pathlib import Path

_FILE: Final = "home-assistant.json"
_MAX_FILE_BYTES: Final = 1_000_000  # a larger file is none of ours

_log = structlog.get_logger(__name__)


class Announced(BaseModel):
    """A device that Home Assistant was told of: its camera (None: the worker's own), its components' platforms."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    camera: str | None
    platforms: dict[str, str]


class _File(BaseModel):
    devices: dict[str, Announced]


@dataclass(slots=True)
class Memory:
    """The devices announced, by discovery topic; a file that cannot be used costs a warning, and no more."""

    file: Path | None = None
    devices: dict[str, Announced] = field(default_factory=dict)

    @classmethod
    def load(cls, state_directory: Path | None) -> Memory:
        """Take over what an earlier run left in *state_directory*; None: nothing is kept."""
        if state_directory is None:
            return cls()
        file = state_directory / _FILE
        try:
            return cls(file, _File.model_validate_json(content_of(file, _MAX_FILE_BYTES)).devices)
        except FileNotFoundError:
            return cls(file)
        except (OSError, ValueError, ValidationError) as error:
            _log.warning(log_events.HOME_ASSISTANT_MEMORY, file=str(file), problem=str(error))
            return cls(file)

    def save(self) -> None:
        """Write the devices down."""
        if self.file is None:
            return
        try:
            write_whole(self.file, _File(devices=self.devices).model_dump_json(indent=1).encode())
        except OSError as error:
            _log.warning(log_events.HOME_ASSISTANT_MEMORY, file=str(self.file), problem=str(error))
