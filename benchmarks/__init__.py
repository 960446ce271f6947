"""The laboratory: one thing varied, the rest held. Run from a checkout with ``python -m benchmarks``; not installed."""
