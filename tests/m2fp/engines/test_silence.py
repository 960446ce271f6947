"""An edge node tells nobody what it does but its broker, and loads no more than it needs."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import edge_worker.inference.handler
import edge_worker.m2fp.engines.openvino
print(*(name for name, module in sys.modules.items() if module))
"""


def test_a_model_process_does_without() -> None:
    """OpenVINO's report of each import, its converter and pydantic: none is needed, and they take megabytes."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    loaded = done.stdout.split()
    assert "openvino" in loaded
    for package in ("openvino_telemetry", "openvino.tools", "pydantic"):
        assert not [name for name in loaded if name == package or name.startswith(f"{package}.")]
