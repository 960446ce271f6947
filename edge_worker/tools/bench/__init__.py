"""``edge-worker bench``: what each stage of a frame costs here, by engine, precision, threads, size and people."""

from edge_worker.tools.bench.command import BenchOptions, run

__all__ = ["BenchOptions", "run"]
