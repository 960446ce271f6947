"""Inference engines: one module per runtime, imported on demand."""

import sys

# OpenVINO sends telemetry over the network on import unless this package is missing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
