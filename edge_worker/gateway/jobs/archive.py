"""A job's results as one ZIP, made as it is sent: it is never whole in memory or on disk."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_COMPRESSED = (".json",)  # PNG and JPEG are


class _Pipe(io.BytesIO):
    """Buffers what is written until it is taken; cannot seek."""

    def tell(self) -> int:
        raise io.UnsupportedOperation

    def taken(self) -> bytes:
        content = self.getvalue()
        self.seek(0)
        self.truncate()
        return content


def archive(document: bytes, files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """Yield a ZIP with *document* as ``job.json`` and *files* under their names; those that are gone are left out."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w") as out:
        out.writestr("job.json", document, zipfile.ZIP_DEFLATED)
        yield pipe.taken()
        for name, path in files:
            kind = zipfile.ZIP_DEFLATED if name.endswith(_COMPRESSED) else zipfile.ZIP_STORED
            with suppress(FileNotFoundError):
                out.writestr(name, path.read_bytes(), kind)
            yield pipe.taken()
    yield pipe.taken()
