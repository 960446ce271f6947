"""Inference engines: one module per runtime, imported on demand."""

import sys

# OpenVINO imports both if they are installed. The first sends telemetry over the network, the second, which converts
# models from other formats (`openvino.convert_model`), takes 5 MB.
for _name in ("openvino_telemetry", "openvino.tools.ovc"):
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]
