"""Fetching checkpoints from ModelScope's hub.

With the ``modelscope`` package where it is installed, else by the hub's public file interface over HTTPS: resumable,
and checked against the SHA-256 that the hub lists or the caller pins.
"""

from __future__ import annotations

import importlib
import json
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from edge_worker.errors import ModelError
from edge_worker.m2fp.checksums import write_sums
from edge_worker.m2fp.configuration import CONFIGURATION_FILE, load_configuration
from edge_worker.m2fp.directory import WEIGHTS_FILE, sha256_of
from edge_worker.m2fp.engines.base import is_installed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPResponse

MODELSCOPE_URL = "https://modelscope.cn"

# What a checkpoint is made of; the small file first.
CHECKPOINT_FILES = (CONFIGURATION_FILE, WEIGHTS_FILE)

# Seconds without a byte before a connection counts as dead, and how often a download goes on after that.
_TIMEOUT_S = 30
_ATTEMPTS = 5

# How urllib says that a connection failed, and http.client that it broke off in the middle of an answer.
_BROKEN = (OSError, HTTPException)

_CHUNK = 1 << 18
_MODEL_ID = re.compile(r"[\w.-]+/[\w.-]+")


class Progress(Protocol):
    """Told how far a download is."""

    def __call__(self, file: str, done: int, total: int | None) -> None:
        """*done* bytes of *total* (None: unknown) of *file* are here."""
        ...


def pull(
    model_id: str,
    out: Path,
    *,
    revision: str = "master",
    base_url: str = MODELSCOPE_URL,
    sha256: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch a checkpoint into the directory *out* and return it; files already there and right are kept.

    What they are is pinned there (``SHA256SUMS``), and verified at each load.

    Args:
        model_id: as on the hub, ``owner/name``.
        out: made where it is missing.
        revision: branch or tag.
        base_url: of the hub; the ``modelscope`` package is used for its own only.
        sha256: pinned SHA-256, hex, by file name.
        progress: told of each chunk.

    Raises:
        ModelError: no such model, no connection, or a file that is not what was pinned or listed.
    """
    if not _MODEL_ID.fullmatch(model_id):
        raise ModelError(f"{model_id!r} is no model of a hub: OWNER/NAME is expected")
    out.mkdir(parents=True, exist_ok=True)
    if base_url == MODELSCOPE_URL and is_installed("modelscope"):
        _pull_with_client(model_id, revision, out)
    else:
        _pull_over_https(_Hub(base_url, model_id, revision), out, progress)
    for name, wanted in (sha256 or {}).items():
        _check(out / name, wanted)
    load_configuration(out)
    write_sums(out, {name: sha256_of(out / name) for name in CHECKPOINT_FILES})
    return out


def _pull_with_client(model_id: str, revision: str, out: Path) -> None:
    snapshot_download = importlib.import_module("modelscope.hub.snapshot_download").snapshot_download
    try:
        snapshot = Path(snapshot_download(model_id, revision=revision))
        for name in CHECKPOINT_FILES:
            shutil.copyfile(snapshot / name, out / name)
    except Exception as error:  # the client raises what it likes
        raise ModelError(f"{model_id}: ModelScope's client could not fetch it: {error}") from error


def _pull_over_https(hub: _Hub, out: Path, progress: Progress | None) -> None:
    listed = hub.files()
    for name in CHECKPOINT_FILES:
        if name not in listed:
            raise ModelError(f"{hub.repository}: revision {hub.revision} has no {name}; it is no M2FP checkpoint")
        if not (out / name).is_file() or sha256_of(out / name) != listed[name]:
            _fetch(hub, name, out / name, listed[name], progress)


def _fetch(hub: _Hub, name: str, file: Path, wanted: str, progress: Progress | None) -> None:
    """Download beside *file*, check, rename: *file* is always whole."""
    part = file.with_suffix(file.suffix + ".part")
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            hub.download(name, part, progress)
            break
        except _BROKEN as error:
            if attempt == _ATTEMPTS:
                raise ModelError(f"{name}: the download broke off {_ATTEMPTS} times: {error}; run it again") from error
    if wanted:
        _check(part, wanted)
    part.replace(file)


def _check(file: Path, wanted: str) -> None:
    """Compare with a SHA-256; what differs is removed, so that the next attempt starts anew."""
    found = sha256_of(file)
    if found != wanted.lower():
        file.unlink()
        raise ModelError(f"{file.name}: SHA-256 is {found}, {wanted} was expected; it was removed")


class _Hub:
    """One revision of one model on a hub."""

    def __init__(self, base_url: str, model_id: str, revision: str) -> None:
        _demand_https(base_url)
        self.repository = f"{base_url.rstrip('/')}/api/v1/models/{model_id}/repo"
        self.revision = revision

    def files(self) -> dict[str, str]:
        """SHA-256 by file name; empty where the hub lists none.

        Raises:
            ModelError: the hub cannot be reached, has no such model, or answers something else.
        """
        try:
            with self._open("/files", {"Recursive": "true"}) as answer:
                files = json.load(answer)["Data"]["Files"]
                return {str(file["Path"]): str(file.get("Sha256") or "") for file in files}
        except _BROKEN as error:
            raise ModelError(f"{self.repository}/files: {error}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{self.repository}/files: the answer is not a list of files: {error!r}") from error

    def download(self, name: str, part: Path, progress: Progress | None) -> None:
        """Fetch the file *name* into *part*, going on where an earlier attempt stopped.

        Raises:
            OSError, HTTPException: the connection failed or broke off; another attempt may go on.
        """
        start = part.stat().st_size if part.exists() else 0
        try:
            answer = self._open("", {"FilePath": name}, {"Range": f"bytes={start}-"} if start else {})
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink()  # nothing is left to fetch, or the file has changed: start anew
            raise
        with answer, part.open("ab" if answer.status == HTTPStatus.PARTIAL_CONTENT else "wb") as stream:
            done = stream.tell()
            total = done + int(answer.headers["Content-Length"]) if "Content-Length" in answer.headers else None
            while chunk := answer.read(_CHUNK):
                done += stream.write(chunk)
                if progress:
                    progress(name, done, total)
        if total is not None and done < total:
            raise ConnectionError(f"{done} of {total} bytes came")

    def _open(self, path: str, query: Mapping[str, str], headers: Mapping[str, str] | None = None) -> HTTPResponse:
        url = f"{self.repository}{path}?{urllib.parse.urlencode({'Revision': self.revision, **query})}"
        request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310  https, see _demand_https
        return cast("HTTPResponse", urllib.request.urlopen(request, timeout=_TIMEOUT_S))  # noqa: S310


def _demand_https(url: str) -> None:
    """Refuse any scheme but HTTPS, except HTTP to this very machine, where a mirror or a test may listen."""
    parts = urllib.parse.urlsplit(url)
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise ModelError(f"{url}: a hub is reached over https://")
