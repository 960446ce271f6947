"""What `training.evaluate` measures: one module for each set that was kept from training."""
