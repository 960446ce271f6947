"""Download of checkpoints from the ModelScope hub with its own client (extra ``modelscope``)."""

from __future__ import annotations

import importlib
import re
import urllib.parse
from typing import TYPE_CHECKING

from edge_worker.common.errors import ModelError
from edge_worker.m2fp.checksums import sha256_of, write_sums
from edge_worker.m2fp.configuration import CONFIGURATION_FILE, load_configuration
from edge_worker.m2fp.directory import WEIGHTS_FILE
from edge_worker.m2fp.engines.base import is_installed

if TYPE_CHECKING:
    from pathlib import Path

MODELSCOPE_URL = "https://modelscope.cn"

CHECKPOINT_FILES = (CONFIGURATION_FILE, WEIGHTS_FILE)

_MODEL_ID = re.compile(r"[\w.-]+/[\w.-]+")


def pull(model_id: str, out: Path, *, endpoint: str = MODELSCOPE_URL) -> Path:
    """Download a checkpoint into *out* and return that directory; files that are already correct are kept.

    The digests are pinned in ``SHA256SUMS`` and verified on each load.

    Args:
        model_id: ``owner/name`` on the hub.
        out: created if missing.
        endpoint: URL of the hub.

    Raises:
        ModelError: the client is not installed, the model does not exist, or the connection fails.
    """
    if not _MODEL_ID.fullmatch(model_id):
        raise ModelError(f"{model_id!r} is no model of a hub: OWNER/NAME is expected")
    _require_https(endpoint)
    if not is_installed("modelscope"):
        raise ModelError(f"fetching {model_id} needs ModelScope's client: pip install 'edge-worker[modelscope]'")
    out.mkdir(parents=True, exist_ok=True)
    _download(model_id, out, endpoint)
    load_configuration(out)
    write_sums(out, {name: sha256_of(out / name) for name in CHECKPOINT_FILES})
    return out


def _download(model_id: str, out: Path, endpoint: str) -> None:
    client = importlib.import_module("modelscope.hub.snapshot_download")
    try:
        client.snapshot_download(
            model_id, revision="master", local_dir=str(out), allow_patterns=list(CHECKPOINT_FILES), endpoint=endpoint
        )
    except Exception as error:  # the client documents no exceptions
        raise ModelError(f"{model_id}, from {endpoint}: {error}") from error
    for name in CHECKPOINT_FILES:
        if not (out / name).is_file():
            raise ModelError(f"{model_id} has no {name}; it is no M2FP checkpoint")


def _require_https(url: str) -> None:
    """Require HTTPS; plain HTTP is allowed to localhost, for mirrors and tests."""
    parts = urllib.parse.urlsplit(url)
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise ModelError(f"{url}: a hub is reached over https://")
