"""An edge node tells nobody what it does but its broker."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import edge_worker.m2fp.engines.openvino
print([name for name, module in sys.modules.items() if name.startswith("openvino_telemetry") and module])
"""


def test_openvino_does_not_report_home() -> None:
    """The package with which OpenVINO reports each import over the network is never loaded."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
