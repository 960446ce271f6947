"""The metrics of `training.evaluate`: one module for each held-out test set."""
