"""Engines and precisions: the only list of each, for YAML, commands, the acceptance test and bench."""

from enum import Enum


class EngineName(str, Enum):  # noqa: UP042 - not StrEnum: the published pipeline's environment has Python 3.10
    """Inference engine; ``auto``, then fastest first."""

    AUTO = "auto"
    OPENVINO = "openvino"
    ONNXRUNTIME = "onnxruntime"
    TORCH = "torch"
    MODELSCOPE = "modelscope"


class Precision(str, Enum):  # noqa: UP042 - as above
    """Precision of inference."""

    AUTO = "auto"
    F32 = "f32"
    BF16X3 = "bf16x3"
    BF16 = "bf16"
    F16 = "f16"
    INT8 = "int8"


ENGINE_NAMES = tuple(name.value for name in EngineName)
PRECISIONS = tuple(precision.value for precision in Precision)
ISAS = ("avx2", "avx2-vnni", "avx512", "amx", "neon")
"""Instruction sets that ``bench`` can restrict everything to."""
