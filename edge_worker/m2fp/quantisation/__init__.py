"""Reduced precisions: quantising, and judging what it does to the results."""
