"""Fetching checkpoints from ModelScope's hub, with its own client (extra ``modelscope``)."""

from __future__ import annotations

import importlib
import re
import urllib.parse
from typing import TYPE_CHECKING

from edge_worker.errors import ModelError
from edge_worker.m2fp.checksums import write_sums
from edge_worker.m2fp.configuration import CONFIGURATION_FILE, load_configuration
from edge_worker.m2fp.directory import WEIGHTS_FILE, sha256_of
from edge_worker.m2fp.engines.base import is_installed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MODELSCOPE_URL = "https://modelscope.cn"

CHECKPOINT_FILES = (CONFIGURATION_FILE, WEIGHTS_FILE)

_MODEL_ID = re.compile(r"[\w.-]+/[\w.-]+")


def pull(
    model_id: str,
    out: Path,
    *,
    revision: str = "master",
    endpoint: str = MODELSCOPE_URL,
    sha256: Mapping[str, str] | None = None,
) -> Path:
    """Fetch a checkpoint into the directory *out* and return it; files already there and right are kept.

    What they are is pinned there (``SHA256SUMS``), and verified at each load.

    Args:
        model_id: as on the hub, ``owner/name``.
        out: made where it is missing.
        revision: branch or tag.
        endpoint: address of the hub.
        sha256: pinned SHA-256, hex, by file name.

    Raises:
        ModelError: the client is not installed, there is no such model, no connection, or a file is not what was
            pinned or listed.
    """
    if not _MODEL_ID.fullmatch(model_id):
        raise ModelError(f"{model_id!r} is no model of a hub: OWNER/NAME is expected")
    _require_https(endpoint)
    if not is_installed("modelscope"):
        raise ModelError(f"fetching {model_id} needs ModelScope's client: pip install 'edge-worker[modelscope]'")
    out.mkdir(parents=True, exist_ok=True)
    _download(model_id, out, revision, endpoint)
    for name, wanted in (sha256 or {}).items():
        _check(out / name, wanted)
    load_configuration(out)
    write_sums(out, {name: sha256_of(out / name) for name in CHECKPOINT_FILES})
    return out


def _download(model_id: str, out: Path, revision: str, endpoint: str) -> None:
    client = importlib.import_module("modelscope.hub.snapshot_download")
    try:
        client.snapshot_download(
            model_id, revision=revision, local_dir=str(out), allow_patterns=list(CHECKPOINT_FILES), endpoint=endpoint
        )
    except Exception as error:  # the client raises what it likes
        raise ModelError(f"{model_id}, revision {revision}, from {endpoint}: {error}") from error
    for name in CHECKPOINT_FILES:
        if not (out / name).is_file():
            raise ModelError(f"{model_id}: revision {revision} has no {name}; it is no M2FP checkpoint")


def _check(file: Path, wanted: str) -> None:
    """Compare with a SHA-256; what differs is removed, so that the next attempt starts anew."""
    found = sha256_of(file)
    if found != wanted.lower():
        file.unlink()
        raise ModelError(f"{file.name}: SHA-256 is {found}, {wanted} was expected; it was removed")


def _require_https(url: str) -> None:
    """Refuse any scheme but HTTPS, except HTTP to this very machine, where a mirror or a test may listen."""
    parts = urllib.parse.urlsplit(url)
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise ModelError(f"{url}: a hub is reached over https://")
