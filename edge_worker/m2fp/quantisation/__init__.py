"""Quantisation, and the accuracy gate for reduced precisions."""
