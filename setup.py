"""The compiled kernels; all else stands in ``pyproject.toml``.

Optional: where nothing can compile them, the package installs all the same, and does their work without them.
"""

from setuptools import Extension, setup

KERNELS = "edge_worker/m2fp/kernels"
HEADERS = ("vector.h", "convolution.h", "winograd_steps.h")


def kernel(name: str) -> Extension:
    """The kernel of one C file, for :func:`edge_worker.m2fp.kernels.loader.load_kernel`."""
    return Extension(
        f"edge_worker.m2fp.kernels._{name}",
        sources=[f"{KERNELS}/{name}.c"],
        depends=[f"{KERNELS}/{header}" for header in HEADERS],
        extra_compile_args=["-O3", "-fno-math-errno", "-fno-trapping-math"],
        optional=True,
    )


setup(ext_modules=[kernel(name) for name in ("masks", "deformable", "gemm", "winograd")])
