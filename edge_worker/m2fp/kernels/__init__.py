"""Compiled kernels: C sources, their wrappers and the loader. Each is optional, and has a plain twin."""
