"""The compiled kernel for deformable attention; all else stands in ``pyproject.toml``.

Optional: where nothing can compile it, the package installs all the same, and engines use their own operators.
"""

from setuptools import Extension, setup

KERNEL = Extension(
    "edge_worker.m2fp.engines._deformable",
    sources=["edge_worker/m2fp/engines/deformable.c"],
    extra_compile_args=["-O3", "-fno-math-errno", "-fno-trapping-math"],
    optional=True,
)

setup(ext_modules=[KERNEL])
