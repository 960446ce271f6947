"""Small JSON files that are not trusted when they are read back: each entry has a digest of its own.

A byte that a disk or a hand changed costs the entry it is in. A damaged file is set aside, never overwritten. The
digest tells damage, not malice: who may write the file can make another.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from edge_worker.common.files import content_of, set_aside, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

T = TypeVar("T")

_DIGEST: Final = "sha256"
_MAX_BYTES: Final = 10_000_000  # a larger file is none of ours


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """What was read.

    Attributes:
        entries: those that are sound, by key, in the order of the file.
        problem: what is wrong with the file, and where it is kept now; empty where nothing is.
    """

    entries: Mapping[str, T]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SealedFile(Generic[T]):
    """A JSON file of *schema* with a table of entries under the key *table*.

    *parse* makes an entry of its plain values; it raises LookupError, TypeError, ValueError or OverflowError where it
    cannot.
    """

    file: Path
    schema: str
    table: str
    parse: Callable[[Mapping[str, Any]], T]

    def read(self) -> Found[T]:
        """Read the file; one that is missing has no entries. One with a problem is renamed to ``NAME.damaged``."""
        try:
            written = self._table(json.loads(content_of(self.file, _MAX_BYTES)))
        except (FileNotFoundError, NotADirectoryError):
            return Found({})
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            return Found({}, f"cannot be read ({_explain(error)}); {self._set_aside()}")
        sound = {key: entry for key, values in written.items() if (entry := self._opened(key, values)) is not None}
        if len(sound) == len(written):
            return Found(sound)
        return Found(sound, f"{len(written) - len(sound)} of {len(written)} entries are altered; {self._set_aside()}")

    def write(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace the file as a whole.

        Raises:
            OSError: it cannot be written.
        """
        sealed = {key: {**entry, _DIGEST: self._digest(key, entry)} for key, entry in entries.items()}
        write_whole(self.file, json.dumps({"schema": self.schema, self.table: sealed}, indent=1).encode())

    def _table(self, document: Any) -> dict[str, Any]:  # noqa: ANN401 - anything that JSON can say
        if document["schema"] != self.schema:
            raise ValueError(f"schema {document['schema']!r:.60}, not {self.schema!r}")
        return dict(document[self.table].items())

    def _opened(self, key: str, values: object) -> T | None:
        """Return an entry; None if its digest does not agree, or it is not one."""
        if not isinstance(values, dict) or values.pop(_DIGEST, None) != self._digest(key, values):
            return None
        try:
            return self.parse(values)
        except (LookupError, TypeError, ValueError, OverflowError):
            return None

    def _digest(self, key: str, values: Mapping[str, Any]) -> str:
        text = json.dumps([self.schema, key, values], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _set_aside(self) -> str:
        aside = set_aside(self.file)
        return f"kept as {aside}" if aside else "it could not be renamed"


def _explain(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"{type(error).__name__}: {error}"[:200]
