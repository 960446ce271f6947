"""What turns a network input into logits: one module per runtime, imported only when asked for."""

import sys

# Whoever imports OpenVINO is reported to its makers over the network, unasked. Without this package it reports nothing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
