"""Performance experiments that vary one factor. Run from a checkout with ``python -m benchmarks``; not installed."""
