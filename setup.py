"""The compiled kernels; all else stands in ``pyproject.toml``.

Optional: where nothing can compile them, the package installs all the same, and does their work without them.
"""

from setuptools import Extension, setup

HEADERS = ("vector.h", "engines/convolution.h", "engines/winograd_steps.h")


def kernel(name: str, source: str) -> Extension:
    """The kernel of one C file, for :func:`edge_worker.m2fp.compiled.load_kernel`."""
    return Extension(
        f"edge_worker.m2fp.{name}",
        sources=[f"edge_worker/m2fp/{source}"],
        depends=[f"edge_worker/m2fp/{header}" for header in HEADERS],
        extra_compile_args=["-O3", "-fno-math-errno", "-fno-trapping-math"],
        optional=True,
    )


setup(
    ext_modules=[
        kernel("_mask_kernel", "mask_kernel.c"),
        kernel("engines._deformable", "engines/deformable.c"),
        kernel("engines._products", "engines/products.c"),
        kernel("engines._winograd", "engines/winograd.c"),
    ]
)
