"""Small JSON files whose entries each have a digest, which is checked on reading.

A byte that is changed, by a disk or by hand, costs only the entry that contains it. A damaged file is set aside, never
overwritten. The digest detects damage, not malice: whoever may write the file can write a valid digest, too.
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
_MAX_BYTES: Final = 10_000_000  # a larger file is not ours


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """The result of reading a file.

    Attributes:
        entries: the valid entries by key, in the order of the file.
        problem: what is wrong with the file, and where it is kept now; empty if nothing is wrong.
    """

    entries: Mapping[str, T]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SealedFile(Generic[T]):
    """A JSON file of *schema* with a table of entries under the key *table*.

    *parse* makes an entry from JSON values; it raises LookupError, TypeError, ValueError or OverflowError if they are
    invalid.
    """

    file: Path
    schema: str
    table: str
    parse: Callable[[Mapping[str, Any]], T]

    def read(self) -> Found[T]:
        """Read the file. A missing file has no entries; one with a problem is renamed to ``NAME.damaged``."""
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
        """Replace the whole file.

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
        """Return an entry; None if it is invalid or its digest is wrong."""
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
