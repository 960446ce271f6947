"""The compiled kernels; all else stands in ``pyproject.toml``.

Optional: where nothing can compile them, the package installs all the same, and does their work without them.
"""

import importlib.util
from pathlib import Path

from setuptools import Extension, setup

KERNELS = "edge_worker/m2fp/kernels"
HEADERS = ("vector.h", "convolution.h", "winograd_steps.h", "source.h")

# By its path: importing the package would need what it depends on.
_spec = importlib.util.spec_from_file_location("loader", Path(__file__).parent / KERNELS / "loader.py")
loader = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(loader)


def kernel(name: str) -> Extension:
    """The kernel of one C file, for :func:`edge_worker.m2fp.kernels.loader.load_kernel`."""
    return Extension(
        f"edge_worker.m2fp.kernels._{name}",
        sources=[f"{KERNELS}/{name}.c"],
        depends=[f"{KERNELS}/{header}" for header in HEADERS],
        define_macros=[("KERNEL_SOURCE", f'"{loader.source_digest()}"')],
        extra_compile_args=["-O3", "-fno-math-errno", "-fno-trapping-math"],
        optional=True,
    )


setup(ext_modules=[kernel(name) for name in loader.KERNELS])
