"""The API as its document describes it, judged by schemathesis."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gateways import Stack

if importlib.util.find_spec("schemathesis") is None and os.environ.get("CI") != "true":
    pytest.skip("schemathesis is not installed", allow_module_level=True)

CONFIGURATION = Path(__file__).parent / "schemathesis.toml"
ENDLESS = "stream.mjpeg|/events"

pytestmark = pytest.mark.mosquitto


def test_the_api_is_what_its_document_says(stack: Stack, tmp_path: Path) -> None:
    """Requests that follow the document, and requests that do not, get only answers that it describes."""
    document = f"{stack.gateway.address}/api/v1/openapi.json"
    program = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run", document]
    bounds = ["--generation-deterministic", "--max-examples", "3", "--no-shrink", "--phases", "coverage,fuzzing"]
    skipped = ["--exclude-path-regex", ENDLESS, "--request-timeout", "20"]
    done = subprocess.run([*program, *bounds, *skipped], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert stack.gateway.get("/healthz").status == 200
    assert "Traceback" not in stack.gateway.log_file.read_text()
