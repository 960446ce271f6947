"""Compiled kernels: C sources, Python wrappers and the loader. Each is optional and has a fallback."""
